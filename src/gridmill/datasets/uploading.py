"""A dataset made of uploaded files at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridmill.auth.model import Principal
from gridmill.datasets.lifecycle import NewDataset, create_dataset
from gridmill.datasets.model import Dataset
from gridmill.datasets.schemas import DatasetCreate
from gridmill.datasources import service as datasources
from gridmill.datasources.parsing.model import Format, ParseOptions
from gridmill.datasources.upload import ReceivedFile, Upload, UploadForm
from gridmill.engine.port import Engine
from gridmill.kit.errors import ValidationFailed
from gridmill.kit.http import validate_json
from gridmill.kit.json import dump_json
from gridmill.storage.database import Tx

_MAX_FILES = 100
_OPTIONS = ParseOptions(None, None, None)
UPLOAD_FORM = UploadForm(
    frozenset({"type", "name", "description"}), frozenset({"file", "files", "files[]"}), _MAX_FILES
)
UPLOAD_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "name"],
    "properties": {
        "type": {"type": "string", "description": "As in `POST /datasets`"},
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "description": {"type": "string", "maxLength": 10_000},
        "file": {"type": "string", "format": "binary"},
        "files[]": {"type": "array", "items": {"type": "string", "format": "binary"}},
    },
}


@dataclass(frozen=True, slots=True)
class JudgedUpload:
    """An upload whose fields and files are good."""

    body: DatasetCreate
    files: Sequence[tuple[ReceivedFile, Format]]


async def judge_upload(upload: Upload) -> JudgedUpload:
    """Check the fields and what the files are, before a transaction is open.

    Raises:
        ValidationFailed: a field that does not hold, or no file.
        MalformedFile: an empty file.
        UnsupportedFormat: a file of a kind that is not read.
    """
    body = validate_json(DatasetCreate, dump_json(upload.fields))
    if not upload.files:
        raise ValidationFailed.of("file", "At least one file is needed.")
    found = [(file, await datasources.check_file(file, _OPTIONS)) for file in upload.files]
    return JudgedUpload(body, found)


async def create_from_upload(
    tx: Tx, engine: Engine, principal: Principal, upload: JudgedUpload
) -> Dataset:
    """Store the files as data sources and make a dataset of them, in one transaction.

    Raises:
        InsufficientScope: the key is bound to datasets that exist.
    """
    body = upload.body
    made = [
        await datasources.add_file(tx, engine, principal, received, content_type, _OPTIONS)
        for received, content_type in upload.files
    ]
    new = NewDataset(
        body.type, body.name, body.description, [str(one.datasource_id) for one in made]
    )
    return await create_dataset(tx, engine, principal, new)
