"""The HTTP face as the tests use it: status and decoded body, nothing hidden."""

import http.client
import json
import urllib.parse


RIGHTS = ["ingest", "query", "devices", "schemas", "dead-letters", "admin"]


class Api:
    def __init__(self, address, key):
        self.address = address
        self.key = key

    def request(self, method, path, body=None, headers=None, key=None):
        """Returns (status, decoded JSON or text). `body` may be bytes or anything JSON can say."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        sent = {"authorization": f"Bearer {key or self.key}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        connection.request(method, path, body, {**sent, **(headers or {})})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        is_json = "json" in response.getheader("content-type", "")
        return response.status, json.loads(text) if is_json and text else text

    def get(self, path, **parameters):
        """GET that must be 200. A parameter named `from_` is sent as `from`."""
        query = urllib.parse.urlencode({name.rstrip("_"): value for name, value in parameters.items()})
        status, body = self.request("GET", f"{path}?{query}" if query else path)
        if status != 200:
            raise AssertionError(f"GET {path}?{query}: {status} {body}")
        return body

    def device(self, device_class="test", **fields):
        """A new device: {"device_id", "auth_token", "tenant_id", "topic"}."""
        status, body = self.request("POST", "/v1/devices", {"device_class": device_class, **fields})
        if status != 201:
            raise AssertionError(f"POST /v1/devices: {status} {body}")
        return body

    def tenant(self, name):
        """Another tenant with an administrator of its own: the HTTP face as that one sees it."""
        for path, body in (("/v1/tenants", {"name": name}), ("/v1/keys", {"tenant": name, "name": "admin", "rights": RIGHTS})):
            status, answer = self.request("POST", path, body)
            if status != 201:
                raise AssertionError(f"POST {path}: {status} {answer}")
        return Api(self.address, answer["token"])

    def answers(self, device_id, metric, from_, to, **parameters):
        """All pages of a metrics query, as a list of bodies."""
        bodies = [self.get(f"/v1/devices/{device_id}/metrics", metric=metric, from_=from_, to=to, **parameters)]
        while cursor := bodies[-1]["next"]:
            more = {**parameters, "cursor": cursor}
            bodies.append(self.get(f"/v1/devices/{device_id}/metrics", metric=metric, from_=from_, to=to, **more))
        return bodies

    def points(self, device_id, metric, from_, to, **parameters):
        """All points of a metrics query, over all pages."""
        return [point for body in self.answers(device_id, metric, from_, to, **parameters) for point in body["points"]]

    def raw(self, device_id, metric, from_=0, to=10**13):
        """(ts, value, seq) of every raw reading."""
        return [(point["ts"], point["value"], point.get("seq")) for point in self.points(device_id, metric, from_, to)]

    def dead_letters(self, **parameters):
        letters, answer = [], {"next": None}
        while True:
            more = {"cursor": answer["next"]} if answer["next"] else {}
            answer = self.get("/v1/dead-letters", **parameters, **more)
            letters += answer["dead_letters"]
            if not answer["next"]:
                return letters
