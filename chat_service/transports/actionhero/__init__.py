"""The dialect of ActionHero's clients, on TCP lines and on WebSocket frames of Primus."""
