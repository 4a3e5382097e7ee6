"""Two releases beside each other on one database: what the one before says works on the tables of the one after."""

from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData
from tandem_contract.config import Database as Settings
from tandem_orchestrator.store import migrations
from tandem_orchestrator.store.database import Database

COUNT_TOKENS = """
    INSERT INTO tandem_tokens (day, key_id, tokens) VALUES ('2026-11-21', 'key-1', 6) ON CONFLICT (day, key_id)
    DO UPDATE SET tokens = (tandem_tokens.tokens + excluded.tokens) RETURNING tandem_tokens.tokens
"""
RAISE_VERSION = """
    UPDATE tandem_keys_version SET version=(tandem_keys_version.version + 1) RETURNING tandem_keys_version.version
"""
ADD_KEY = """
    INSERT INTO tandem_keys (id, version, hash, prefix, name, tenant, models, tools, requests_per_minute,
        tokens_per_minute, concurrent_requests, tokens_per_day, tokens_per_month, created, expires, revoked)
    VALUES ('key-1', 1, 'hash', 'tk-abc', NULL, 'team', '["m"]', NULL, 60, NULL, NULL, 5, NULL,
        '2026-11-21 10:00+00', NULL, NULL)
    RETURNING tandem_keys.id
"""
KEYS_SINCE = """
    SELECT tandem_keys.id, tandem_keys.version, tandem_keys.hash, tandem_keys.prefix, tandem_keys.name,
        tandem_keys.tenant, tandem_keys.models, tandem_keys.tools, tandem_keys.requests_per_minute,
        tandem_keys.tokens_per_minute, tandem_keys.concurrent_requests, tandem_keys.tokens_per_day,
        tandem_keys.tokens_per_month, tandem_keys.created, tandem_keys.expires, tandem_keys.revoked
    FROM tandem_keys WHERE tandem_keys.version > 0 ORDER BY tandem_keys.version LIMIT 500
"""
KEYS_OF_TENANT = """
    SELECT tandem_keys.id FROM tandem_keys WHERE tandem_keys.id > '' AND tandem_keys.tenant = 'team'
    ORDER BY tandem_keys.id LIMIT 100
"""
REVOKE_KEY = """
    UPDATE tandem_keys SET version=2, revoked=coalesce(tandem_keys.revoked, '2026-11-22 10:00+00')
    WHERE tandem_keys.id = 'key-1' RETURNING tandem_keys.id
"""
TOKENS_OF_MONTH = """
    SELECT sum(tandem_tokens.tokens), tandem_tokens.key_id FROM tandem_tokens
    WHERE tandem_tokens.day BETWEEN '2026-11-01' AND '2026-11-30' GROUP BY tandem_tokens.key_id
"""
OF_0001 = (
    (RAISE_VERSION, 1),
    (ADD_KEY, "key-1"),
    ("SELECT tandem_keys_version.version FROM tandem_keys_version", 1),
    (KEYS_SINCE, "key-1"),
    (KEYS_OF_TENANT, "key-1"),
    (REVOKE_KEY, "key-1"),
    (COUNT_TOKENS, 6),
    (COUNT_TOKENS, 12),
    (TOKENS_OF_MONTH, 12),
)
"""Statements of keys and budgets with the first value that they return, written down when 0001 was the last migration.
They are not to be changed with the code."""


@pytest.mark.parametrize("revision", ["0001", None])
async def test_what_release_0001_says_works_on_every_later_schema(url, revision):
    database = Database(Settings(url=url))
    await database.alone(lambda connection: migrations.upgrade(connection, revision))

    def say(connection):
        for statement, expected in OF_0001:
            assert connection.exec_driver_sql(statement).scalar() == expected, statement

    await database.alone(say)


async def test_migrations_only_add(url):
    """Nothing that the revision before had is changed or gone, and nothing new of its tables has to be filled in."""
    database = Database(Settings(url=url))
    before = MetaData()
    for revision in (each.id for each in migrations._known()):
        await database.alone(partial(migrations.upgrade, to=revision))
        await database.alone(partial(only_added, before=before))
        before = MetaData()
        await database.alone(before.reflect)


def only_added(connection, before: MetaData) -> None:
    options = {"version_table": migrations.VERSION_TABLE, "compare_type": True}
    for change in compare_metadata(MigrationContext.configure(connection, opts=options), before):
        kind, *what = change[0] if isinstance(change[0], tuple) else change
        # As seen from the database to the tables of before, what was added since would have to be removed.
        assert kind in ("remove_table", "remove_index", "remove_column", "remove_fk", "remove_constraint"), change
        if kind == "remove_column":
            assert what[2].nullable or what[2].server_default, f"the release before cannot fill in {what[2]}"
