"""`files`: where uploaded files are kept, and how much of them."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from tandem_contract.config.base import HttpUrl, Name, SecretFile, Section
from tandem_contract.config.keys import MOST

Folder = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
ObjectPrefix = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9!_.*'()-]+/)*$", max_length=512)]


class S3(Section):
    """A bucket of Amazon S3, or of any server with its API."""

    bucket: Name
    """The bucket; it must exist."""
    endpoint: HttpUrl | None = None
    """The server, such as http://minio:9000. Default: Amazon's of the region."""
    region: Name = "us-east-1"
    """The bucket's region."""
    prefix: ObjectPrefix = ""
    """Begins the name of every object, such as tandem/, so that services may share a bucket."""
    access_key_id: SecretFile | None = None
    """Access key. Default: what the environment gives, such as a service account's role."""
    secret_access_key: SecretFile | None = None
    """Its secret."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("set accessKeyId and secretAccessKey, or neither")
        return self


class FileQuota(Section):
    """What each tenant may keep; what is left out is unlimited."""

    files: int | None = Field(default=None, ge=1, le=MOST)
    """Files."""
    bytes: int | None = Field(default=None, ge=1, le=MOST)
    """Bytes of files and of unfinished uploads."""


class FileSettings(Section):
    """What is said of files wherever they are kept."""

    s3: S3 | None = None
    """Bucket for the bytes."""
    max_bytes: int = Field(default=536_870_912, ge=1, le=8_589_934_592)
    """A larger file is refused with 413."""
    retention_days: float | None = Field(default=None, gt=0, le=36_500)
    """Files are deleted when they are older, whatever their `expires_after`; null keeps them."""
    quota: FileQuota = FileQuota()
    """What each tenant may keep."""


class Files(FileSettings):
    """Files (`/v1/files`, `/v1/uploads`)."""

    enabled: bool = True
    """Whether files are taken where there is a place for them."""
    folder: Folder | None = None
    """Folder for the bytes instead of s3, on a volume that all replicas share. Default: tandem-files where the database
    is SQLite; with PostgreSQL there are no files until this or s3 is set."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.folder is not None and self.s3 is not None:
            raise ValueError("set folder or s3, not both")
        return self
