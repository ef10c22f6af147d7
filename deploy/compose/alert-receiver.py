"""Prints what Alertmanager's webhook brings: one line for each alert."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            labels = alert["labels"]
            print(alert["status"], labels.get("severity"), labels["alertname"], labels.get("queue", ""),
                  "-", alert["annotations"].get("description", ""))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("", 8080), Receiver).serve_forever()
