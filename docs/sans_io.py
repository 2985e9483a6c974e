"""A token through keyfob, whose requests this program sends itself. Standard library only."""
import http.client
import json
import subprocess
import sys
import time
import urllib.request

keyfob = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class AsItIs(urllib.request.HTTPErrorProcessor):
    def http_response(self, request, response):
        return response  # of any status, a redirect's too: what a request carries is for its own host

    https_response = http_response


opener = urllib.request.build_opener(AsItIs)


def tell(**line):
    keyfob.stdin.write(json.dumps({"now": int(time.time() * 1000), **line}) + "\n")
    keyfob.stdin.flush()
    return json.loads(keyfob.stdout.readline() or "{}")


def send(action):
    body = action.get("body")
    request = urllib.request.Request(
        action["url"], body and body.encode(), action["headers"], method=action["method"]
    )
    try:
        with opener.open(request, timeout=15) as answer:
            text = answer.read().decode(errors="replace")
            return {"status": answer.status, "headers": dict(answer.headers), "body": text}
    except (OSError, http.client.HTTPException):
        return {}  # no answer, or half of one


said = tell()
shown = None
while "actions" in said:
    todo = {action["type"]: action for action in reversed(said["actions"])}
    code = todo.get("device_code", shown)
    if code != shown:
        shown = code
        print(shown["verification_uri"], shown["user_code"], file=sys.stderr)
    if "request" in todo:
        said = tell(id=todo["request"]["id"], **send(todo["request"]))
    elif "browser" in todo:
        print(todo["browser"]["url"], file=sys.stderr)
        said = tell(id=todo["browser"]["id"], body=sys.stdin.readline().strip())  # the address it came to
    else:
        time.sleep(max(0, todo["wait"]["until"] / 1000 - time.time()))
        said = tell()
print(said["done"]["access_token"] if "done" in said else "no token")
sys.exit(keyfob.wait())
