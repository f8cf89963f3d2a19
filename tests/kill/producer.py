#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A function that predicts and stores records as fast as it may, and keeps its own ledger of what was acknowledged.

A record is repeated under its key until it is answered; a key is never used for another record, also not after a
restart. So each one in the ledger must be in the hub exactly once.
"""
import http.client
import json
import os
import socket
import time
import uuid


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def predict(link):
    """The label, or None while ledge-serve is away: a record is stored all the same."""
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 3, 1, 1], "datatype": "FP32", "data": [1, 2, 3]}]})
    try:
        link.request("POST", "/v2/models/probe/infer", body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        data = answer.read()
        return str(round(json.loads(data)["outputs"][0]["data"][0])) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        link.close()
        return None


def store(meta):
    """False: nobody knows whether the agent has it."""
    link = Local(os.environ["LEDGE_AGENT_SOCKET"])
    try:
        link.request("POST", "/v1/records?kind=prediction", b"", {"X-Ledge-Meta": meta})
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def main():
    config = json.loads(os.environ.get("LEDGE_CONFIG") or "{}")
    serve = Local(os.environ["LEDGE_SERVE_SOCKET"])
    ledger = os.open(os.path.join(os.environ["LEDGE_STATE"], "ledger"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    run, number, pause = uuid.uuid4().hex[:12], 0, config.get("pause_s", 0.02)
    while True:
        number += 1
        key = f"{run}-{number}"
        meta = json.dumps({"function": "producer", "key": key, "label": predict(serve), "score": 0.5})
        while not store(meta):
            time.sleep(0.1)
        os.write(ledger, (key + "\n").encode())
        os.fsync(ledger)
        time.sleep(pause)


main()
