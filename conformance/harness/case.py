"""What a case is made of: the words that the files in cases/ are written in."""

from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    target: str
    headers: list
    body: bytes
    # Chunks of a body sent with Transfer-Encoding: chunked, a pause between them.
    chunks: list
    trailers: list
    # The client goes away without waiting for the answer.
    leaves_after: float
    # Seconds until an answer is taken for none.
    patience: float


def pairs(headers):
    return list(headers.items()) if isinstance(headers, dict) else list(headers or [])


def octets(text):
    return text.encode() if isinstance(text, str) else text


def request(method, target="/", headers=None, body=None, chunks=None, trailers=None,
            leaves_after=None, patience=8):
    return Request(method, target, pairs(headers), octets(body),
                   chunks and [octets(chunk) for chunk in chunks], pairs(trailers), leaves_after, patience)


def get(target="/", headers=None, **more):
    return request("GET", target, headers, **more)


def post(target="/", body="", headers=None, **more):
    return request("POST", target, headers, body, **more)


@dataclass
class Reply:
    """What the origin, or the server that callouts go to, answers."""
    status: int
    headers: list
    body: bytes
    chunks: list
    trailers: list
    delay: float
    # Seconds after each of the chunks.
    between: float
    # Closes the connection instead of answering.
    hangs_up: bool


def reply(status=200, headers=None, body=b"hello\n", chunks=None, trailers=None, delay=0,
          between=0.05, hangs_up=False):
    return Reply(status, pairs(headers), octets(body),
                 chunks and [octets(chunk) for chunk in chunks], pairs(trailers), delay, between, hangs_up)


@dataclass
class Plugin:
    """One plugin of a chain; `config` is, for the guest hostcalls, a script."""
    config: str = ""
    guest: str = "hostcalls"
    vm_config: str = ""
    root_id: str = ""
    # Envoy's field of PluginConfig, and the options of the entry here.
    envoy: dict = field(default_factory=dict)
    nginx: str = ""
    # Imports that the module has under other names in nginx: to try aliases.
    nginx_names: dict = field(default_factory=dict)
    # Another configuration in nginx: only to see that it shows.
    nginx_config: str = None


ANY = "any"


@dataclass
class Case:
    name: str
    # The rows of THE TABLE and the callbacks that it shows at work.
    covers: list
    config: str = ""
    requests: list = field(default_factory=lambda: [get()])
    origin: Reply = field(default_factory=lambda: reply(headers={"content-type": "text/plain"}))
    # By path; "*" is any other.
    callout: dict = field(default_factory=dict)
    guest: str = "hostcalls"
    vm_config: str = ""
    root_id: str = ""
    plugins: list = None
    # Envoy asks the last plugin first for a response. The chain in nginx is turned round, so that both ask alike.
    turned: bool = False
    envoy: dict = field(default_factory=dict)
    nginx: str = ""
    nginx_names: dict = field(default_factory=dict)
    # Seconds to wait after the requests: for timers, or for the end of a callout.
    settle: float = 0
    # (pattern, replacement): what can never be the same twice.
    mask: list = field(default_factory=list)
    # The order of headers in a list is not looked at: here it is never the same twice.
    any_order: bool = False
    # Patterns of lines that one of the two cannot have, for a reason that is not the plugin's.
    ignore: list = field(default_factory=list)
    # A log line that must be there: else a case could be the same because nothing happened.
    expect: list = field(default_factory=list)
    # The statuses that must come, in order; 200 for each if not said. ANY: as long as both are the same.
    statuses: list = None
    # What must be built first, beyond what it covers: rows, callbacks, or any word that
    # docs/SUPPORT.md would have to say.
    needs: list = field(default_factory=list)
    # A difference that is meant: how a paragraph of docs/DIFFERENCES.md begins, or several. What differs, to
    # the letter, is in differences/.
    differs: list = field(default_factory=list)
    # The client speaks HTTP/2.
    http2: bool = False
    # Content-Length is compared, too.
    length: bool = False
    # Whether the configuration is accepted at all; such a case has a proxy of its own.
    refused: bool = False

    def __post_init__(self):
        if self.plugins is None:
            self.plugins = [Plugin(self.config, self.guest, self.vm_config, self.root_id,
                                   self.envoy, self.nginx, self.nginx_names)]
        if isinstance(self.differs, str):
            self.differs = [self.differs]
        if self.statuses is None and not self.refused:
            self.statuses = [200] * len(self.requests)

    @property
    def slug(self):
        return "".join(c if c.isalnum() else "_" for c in self.name)
