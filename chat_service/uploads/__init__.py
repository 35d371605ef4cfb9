"""Files and images in rooms: uploads over HTTP, kept in a folder or elsewhere, and attachments of messages.

``Uploads(service, {"folder": "uploads"})`` turns them on.
"""

from chat_service.uploads.content import has_libraries
from chat_service.uploads.service_uploads import Uploads
from chat_service.uploads.serving import DownloadRequest
from chat_service.uploads.storage import LocalUploads, ServesItself, UploadedFile, UploadStorage
from chat_service.uploads.upload_errors import UploadError
from chat_service.uploads.upload_options import UploadOptions
from chat_service.uploads.upload_records import Quotas, SqliteRecords, UploadRecords

__all__ = [
    "DownloadRequest",
    "LocalUploads",
    "Quotas",
    "ServesItself",
    "SqliteRecords",
    "UploadError",
    "UploadOptions",
    "UploadRecords",
    "UploadStorage",
    "UploadedFile",
    "Uploads",
    "has_libraries",
]
