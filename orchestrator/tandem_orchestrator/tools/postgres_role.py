"""What a role of PostgreSQL may do beyond reading, as the server itself tells.

A read-only transaction keeps tables as they are, but not a server's files and programs, nor other servers; and what is
granted can be used by whoever gets hold of the password.
"""

# ruff: noqa: S608 # made of constants
from collections.abc import Sequence
from typing import Any, Final

SHOWN: Final = 6  # of each kind

# The roles whose rights are in reach: its own, and those it is a member of.
ROLES: Final = "SELECT * FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')"
SYSTEM: Final = "n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname ~ '^pg_(toast|temp)'"
USABLE: Final = "has_schema_privilege(current_user, n.oid, 'USAGE')"
CALLABLE: Final = """
    p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[])
"""

SUPERUSER: Final = f"""
    SELECT 'is a superuser' || CASE rolname WHEN current_user THEN '' ELSE ' as ' || rolname END
    FROM ({ROLES}) r WHERE rolsuper ORDER BY rolname <> current_user LIMIT 1
"""
ATTRIBUTES: Final = f"""
    SELECT DISTINCT attribute FROM ({ROLES}) r, LATERAL (VALUES
        (rolcreaterole, 'may create roles'), (rolcreatedb, 'may create databases'), (rolreplication, 'may replicate')
    ) AS a(has, attribute) WHERE has ORDER BY 1
"""
# All that PostgreSQL brings along but the one for reading, since each was made for more than that.
MEMBERSHIPS: Final = f"""
    SELECT 'is a member of ' || rolname FROM ({ROLES}) r
    WHERE oid < 16384 AND rolname ~ '^pg_' AND rolname <> 'pg_read_all_data' ORDER BY rolname
"""
TABLES: Final = f"""
    SELECT DISTINCT 'may write to ' || c.oid::regclass FROM ({ROLES}) r, pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT ({SYSTEM}) AND CASE
        WHEN c.relkind = 'S' THEN has_sequence_privilege(r.oid, c.oid, 'USAGE, UPDATE')
        WHEN c.relkind IN ('r', 'p', 'v', 'm', 'f')
        THEN has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
        OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE') END ORDER BY 1
"""
CREATION: Final = f"""
    SELECT DISTINCT 'may create in schema ' || n.nspname FROM ({ROLES}) r, pg_namespace n
    WHERE NOT ({SYSTEM}) AND has_schema_privilege(r.oid, n.oid, 'CREATE')
    UNION SELECT 'may create schemas' FROM ({ROLES}) r WHERE has_database_privilege(r.oid, current_database(), 'CREATE')
    ORDER BY 1
"""
OWNERSHIP: Final = f"""
    SELECT 'owns ' || pg_describe_object(d.classid, d.objid, d.objsubid) FROM ({ROLES}) r
    JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
    JOIN pg_database b ON b.datname = current_database() AND d.dbid IN (0, b.oid) ORDER BY 1
"""
# What PostgreSQL, or an extension, keeps from everybody when it is installed.
RESTRICTED: Final = f"""
    SELECT DISTINCT 'may call ' || p.oid::regprocedure FROM ({ROLES}) r, pg_proc p
    JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
    WHERE NOT EXISTS (SELECT FROM aclexplode(i.initprivs) a WHERE a.grantee = 0)
    AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1
"""
# Machine code that acts and comes from an extension that PostgreSQL itself does not call trusted, such as dblink.
UNTRUSTED: Final = f"""
    SELECT 'may call ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
    LEFT JOIN pg_available_extension_versions v ON v.name = e.extname AND v.version = e.extversion
    WHERE NOT ({SYSTEM}) AND {USABLE} AND has_function_privilege(p.oid, 'EXECUTE') AND {CALLABLE}
    AND p.provolatile = 'v' AND NOT l.lanpltrusted AND v.trusted IS NOT TRUE ORDER BY 1
"""
BEYOND: Final = f"""
    SELECT 'may read ' || c.oid::regclass || ' outside the schemas that are allowed' FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT ({SYSTEM}) AND n.nspname <> ALL ($1) AND {USABLE}
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_any_column_privilege(c.oid, 'SELECT')
    UNION ALL
    SELECT 'may call ' || p.oid::regprocedure || ' outside the schemas that are allowed' FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE NOT ({SYSTEM}) AND n.nspname <> ALL ($1) AND {USABLE} AND {CALLABLE}
    AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1
"""

# What PostgreSQL lets everybody do. A transaction that is read-only and undone leaves nothing of it behind, but others
# may have to wait, or be ended.
EVERYBODY: Final = """
    SELECT what || ' (' || string_agg(DISTINCT p.proname, ', ' ORDER BY p.proname) || ')'
    FROM (VALUES
        ('may see the SQL of its other sessions', '^pg_stat_get_(backend_)?activity$'),
        ('may end its other sessions', '^pg_(cancel|terminate)_backend$'),
        ('may take locks that applications may wait for', '^pg_(try_)?advisory_(xact_)?lock'),
        ('may write to the log of changes', '^pg_logical_emit_message$'),
        ('may write large objects', '^lo_(creat|create|from_bytea|put|truncate|truncate64|unlink)$|^lowrite$'),
        ('may notify listeners', '^pg_notify$')
    ) AS w(what, pattern), pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ pattern
    AND has_function_privilege(p.oid, 'EXECUTE')
    GROUP BY what ORDER BY 1
"""
DEFINERS: Final = f"""
    SELECT 'may call ' || p.oid::regprocedure || ' as ' || pg_get_userbyid(p.proowner) FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND NOT ({SYSTEM}) AND {USABLE} AND {CALLABLE} AND has_function_privilege(p.oid, 'EXECUTE')
    ORDER BY 1
"""
OTHERWISE: Final = f"""
    SELECT 'may create temporary tables' WHERE has_database_privilege(current_database(), 'TEMPORARY')
    UNION ALL
    SELECT DISTINCT 'passes row-level security' FROM ({ROLES}) r WHERE rolbypassrls
"""
ELSEWHERE: Final = """
    SELECT 'may connect to the database ' || datname FROM pg_database
    WHERE datallowconn AND datname <> current_database() AND has_database_privilege(oid, 'CONNECT') ORDER BY 1
"""


async def find_refused(connection: Any, schemas: Sequence[str]) -> list[str]:
    """Return what the role may do that no role for queries may. `schemas` are those it may use; none means all."""
    if found := await _lines(connection, SUPERUSER):
        return found  # and so may do anything
    for sql in (ATTRIBUTES, MEMBERSHIPS, TABLES, CREATION, OWNERSHIP, RESTRICTED, UNTRUSTED):
        found += await _lines(connection, sql)
    if schemas:
        found += await _lines(connection, BEYOND, list(schemas))
    return found


async def find_tolerated(connection: Any) -> list[str]:
    """Return what the role may do beside reading that does no lasting harm in a read-only transaction."""
    return [line for sql in (EVERYBODY, DEFINERS, OTHERWISE, ELSEWHERE) for line in await _lines(connection, sql)]


async def _lines(connection: Any, sql: str, *arguments: Any) -> list[str]:
    rows = await connection.fetch(sql, *arguments)
    more = [f"… ({len(rows) - SHOWN} more such)"] if len(rows) > SHOWN else []
    return [row[0] for row in rows[:SHOWN]] + more
