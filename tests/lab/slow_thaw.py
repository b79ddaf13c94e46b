# SPDX-License-Identifier: MIT
"""A guest agent's channel on which the thaw comes late: a host that is slow within the window.

What happens to a guest within a window takes time to happen, and the window of a quick driver is a
tenth of a second. This relay holds `guest-fsfreeze-thaw` back once, and passes on everything else.
"""

import os
import select
import socket
import threading
import time

_THAW = b"guest-fsfreeze-thaw"


class SlowThaw:
    """Listens on `path` for one client after the other, as the agent's own socket does."""

    def __init__(self, agent_path, path, seconds):
        self.path, self._agent_path, self._seconds = path, agent_path, seconds
        self._held_back = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closing.set()
        self._thread.join(10 + self._seconds)
        self._listener.close()
        os.unlink(self.path)

    def _serve(self):
        while not self._closing.is_set():
            if not select.select([self._listener], [], [], 0.2)[0]:
                continue
            client, _ = self._listener.accept()
            with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
                agent.connect(self._agent_path)
                self._relay(client, agent)

    def _relay(self, client, agent):
        other = {client: agent, agent: client}
        while not self._closing.is_set():
            for source in select.select([client, agent], [], [], 0.2)[0]:
                data = source.recv(1 << 16)
                if not data:
                    return
                if source is client and _THAW in data and not self._held_back:
                    self._held_back = True
                    time.sleep(self._seconds)
                other[source].sendall(data)
