"""A typed Python client: commands, rooms that catch up, and messages that are stored exactly once.

Needs the extra ``client`` of the package; see docs/guide/python-client.md.
"""

from chat_service.client.chat_client import ChatClient as ChatClient
from chat_service.client.client_commands import Commands as Commands
from chat_service.client.client_connection import Login as Login
from chat_service.client.client_errors import ChatClientError as ChatClientError
from chat_service.client.client_errors import ConnectFailedError as ConnectFailedError
from chat_service.client.client_errors import NotConnectedError as NotConnectedError
from chat_service.client.client_errors import OutboxError as OutboxError
from chat_service.client.client_errors import OutcomeUnknownError as OutcomeUnknownError
from chat_service.client.client_folding import FoldedMessage as FoldedMessage
from chat_service.client.client_folding import FoldedMessages as FoldedMessages
from chat_service.client.client_room import ClientRoom as ClientRoom
from chat_service.client.client_stream import Gap as Gap
from chat_service.client.client_types import EphemeralEvent as EphemeralEvent
from chat_service.client.client_types import HistoryInfo as HistoryInfo
from chat_service.client.client_types import JoinHistory as JoinHistory
from chat_service.client.client_types import OwnRoom as OwnRoom
from chat_service.client.client_types import ReadState as ReadState
from chat_service.client.client_uploads import Attachment as Attachment
from chat_service.client.client_uploads import attachment_message as attachment_message
from chat_service.client.client_uploads import caption_of as caption_of
from chat_service.errors import ChatServiceError as ChatServiceError
