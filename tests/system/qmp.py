# SPDX-License-Identifier: MIT
"""A client of the JSON control socket, as strict as the protocol lets it be."""

import json
import socket
import time


class Error(Exception):
    """The emulator's answer was an error."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.cls = error["class"]


class Client:
    """Connected and, unless told otherwise, negotiated."""

    def __init__(self, where, negotiate=True, timeout=20):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.socket.connect(where)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.buffer = b""
        self.events = []
        self.serial = 0
        self.greeting = self.receive()
        if set(self.greeting) != {"QMP"} or set(self.greeting["QMP"]) != {"version", "capabilities"}:
            raise ValueError(f"greeting: {self.greeting}")
        if negotiate:
            self.execute("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        """The next message; None at the end."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """The next message that is no event."""
        while True:
            message = self.receive()
            if message is None or "event" not in message:
                return message
            if not {"timestamp", "event"} <= set(message) <= {"timestamp", "event", "data"}:
                raise ValueError(f"event: {message}")
            self.events.append(message)

    def execute(self, command, **arguments):
        """Its result; raises Error."""
        self.serial += 1
        request = {"execute": command, "id": self.serial}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.send(json.dumps(request).encode())
        answer = self.answer()
        if answer is None:
            raise EOFError(command)
        if answer.get("id") != self.serial:
            raise ValueError(f"{command}: id {answer.get('id')} instead of {self.serial}")
        if "error" in answer:
            raise Error(answer["error"])
        return answer["return"]

    def human(self, line):
        """What the human monitor says."""
        return self.execute("human-monitor-command", command_line=line)

    def event(self, name):
        """The next event of this name; earlier ones are dropped. None at the end."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event
            message = self.receive()
            if message is None:
                return None
            if "event" in message:
                self.events.append(message)
