"""ActionHero's chat API over a service, for programs that move from there."""

from chat_service.actionhero.hero_chat import ActionHeroChat, ActionHeroError
from chat_service.actionhero.hero_middlewares import ChatMiddleware, Connection

__all__ = ["ActionHeroChat", "ActionHeroError", "ChatMiddleware", "Connection"]
