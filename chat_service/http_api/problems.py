"""Errors of the HTTP API: each code has one status, and a body ``{code, args, message}``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chat_service.errors import ChatServiceError, StoreError, StoreTimeoutError, clean_text
from chat_service.http_api.exchange import ApiResponse, as_json
from chat_service.protocol.wire import ErrorEncoder, bounded

#: The statuses of the service's codes. Codes of the application have ``APPLICATION_STATUS``.
STATUSES: Final[Mapping[str, int]] = {
    "badArgument": 400,
    "banned": 403,
    "conflict": 409,
    "idempotencyConflict": 409,
    "internalError": 500,
    "invalidName": 400,
    "invalidSocket": 404,
    "limitExceeded": 409,
    "listLimitExceeded": 409,
    "messageTooLarge": 413,
    "noCommand": 404,
    "noList": 404,
    "noLogin": 403,
    "noMessage": 404,
    "noRoom": 404,
    "noSocket": 400,
    "noUser": 404,
    "noUserOnline": 404,
    "notAllowed": 403,
    "notJoined": 403,
    "rateLimited": 429,
    "roomExists": 409,
    "timeout": 504,
    "userExists": 409,
    "userOnline": 409,
    "wrongArgumentsCount": 400,
}
#: The request was understood, but a hook refused it.
APPLICATION_STATUS: Final = 422

#: The codes of the API itself, with their statuses.
API_STATUSES: Final[Mapping[str, int]] = {
    "badRequest": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "notFound": 404,
    "methodNotAllowed": 405,
    "bodyTimeout": 408,
    "ownInstance": 409,
    "tooLarge": 413,
    "unsupportedMediaType": 415,
    "tooManyRequests": 429,
    "unavailable": 503,
}


class ApiProblem(Exception):
    """An error of the API itself. ``args``: values for programs; ``message``: text for people."""

    def __init__(
        self, code: str, message: str, *arguments: Any, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.arguments = arguments
        self.headers = dict(headers or {})
        self.status = API_STATUSES[code]


def problem_body(code: str, arguments: Sequence[Any], message: str) -> dict[str, Any]:
    """The body of an error. Values that a client sent are truncated."""
    return {
        "code": clean_text(code),
        "args": [bounded(argument) for argument in arguments],
        "message": clean_text(message),
    }


def status_of(code: str) -> int:
    """The status for a code of the service or of the application."""
    return STATUSES.get(code, APPLICATION_STATUS)


def as_problem(errors: ErrorEncoder, error: Exception, where: str) -> tuple[int, dict[str, Any]]:
    """Status and body for an exception. Unexpected exceptions are logged with an incident id."""
    if isinstance(error, ApiProblem):
        return error.status, problem_body(error.code, error.arguments, error.message)
    if isinstance(error, StoreError) and not isinstance(error, StoreTimeoutError):
        # For example an expired cursor: the store explains what to do.
        return 503, problem_body("unavailable", (), str(error))
    public: ChatServiceError = errors.public_error(error, where)
    return status_of(public.code), problem_body(public.code, public.arguments, str(public))


def error_response(errors: ErrorEncoder, error: Exception, where: str) -> ApiResponse:
    """The answer to a failed request."""
    status, body = as_problem(errors, error, where)
    headers = error.headers if isinstance(error, ApiProblem) else {}
    return ApiResponse(status=status, body=as_json(body), headers=headers)
