"""The dialect of ActionHero's clients, on TCP lines and on WebSocket frames of Primus."""

from chat_service.transports.actionhero.hero_dialect import ActionHeroDialect, PrimusDialect
from chat_service.transports.actionhero.hero_options import ActionHeroOptions

__all__ = ["ActionHeroDialect", "ActionHeroOptions", "PrimusDialect"]
