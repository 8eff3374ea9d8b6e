"""The websocket of notices, `wss://notice.kwork.ru/ws/public/<channel>` (FACTS A9)."""
