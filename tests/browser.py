"""What a page does in headless Chromium: what it says on the console and what it asks the network for."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Watch:
    """Listens to a page from its first request on."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def asked_elsewhere(self, home: str) -> list[str]:
        """Return what was asked of anyone but `home` and the page itself (data:, blob:)."""
        own = (home, "data:", f"blob:{home}")
        return [url for url in self.requests if not url.startswith(own)]
