"""Fields of queries and errors that several routes have."""

from chat_service.http_api import schemas as data
from chat_service.http_api.routing import Param

PAGE = (
    Param(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": data.PAGE},
        doc="how many items the page may have; 100 if it is not given",
    ),
    Param(
        name="cursor",
        schema={"type": "string", "minLength": 1, "maxLength": 2048},
        doc="the `cursor` of the page before; a page whose `cursor` is null is the last one",
    ),
)
CONTAINS = Param(
    name="contains",
    schema={"type": "string", "minLength": 1, "maxLength": 256},
    doc=(
        "only names with this in them, whatever the case; each request looks through `max_page_size` names, "
        "and may find none while others follow"
    ),
)
AFTER = Param(name="after", schema=data.COUNT, doc="the id of the last known message; 0 for all messages")
EPOCH = Param(name="epoch", schema=data.EPOCH, doc="the epoch of that message, which `after` needs")
ROOM = ("invalidName", "noRoom")
USER = ("invalidName", "noUser")
