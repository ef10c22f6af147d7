"""`requests` over a unix socket, as a user of the Python SDK writes it."""

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from support.http_client import Endpoint


class _Connection(HTTPConnection):
    def __init__(self, endpoint: Endpoint):
        super().__init__("localhost")
        self._endpoint = endpoint

    def connect(self) -> None:
        self.sock = self._endpoint.connect()


class _Pool(HTTPConnectionPool):
    def __init__(self, endpoint: Endpoint):
        super().__init__("localhost")
        self._endpoint = endpoint

    def _new_conn(self) -> _Connection:
        return _Connection(self._endpoint)


class _Adapter(HTTPAdapter):
    def __init__(self, endpoint: Endpoint):
        super().__init__()
        self._pool = _Pool(endpoint)

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None) -> _Pool:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


def session(endpoint: Endpoint) -> requests.Session:
    """A session whose every http:// request goes to this socket."""
    made = requests.Session()
    made.trust_env = False
    made.mount("http://", _Adapter(endpoint))
    return made
