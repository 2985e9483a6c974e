"""A token of Auki's through keyfob, whose requests this program sends itself. Standard library only."""
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

keyfob = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Redirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # an answer like any other: what a request carries is for its own host


http = urllib.request.build_opener(Redirected)


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
        answer = http.open(request, timeout=15)
    except urllib.error.HTTPError as error:
        answer = error
    except OSError:
        return {}  # no answer
    return {"status": answer.status, "headers": dict(answer.headers), "body": answer.read().decode()}


said = tell()
while "actions" in said:
    requests = [action for action in said["actions"] if action["type"] == "request"]
    if requests:
        said = tell(id=requests[0]["id"], **send(requests[0]))
    else:
        time.sleep(max(0, said["actions"][0]["until"] / 1000 - time.time()))
        said = tell()
print(said["done"]["access_token"] if "done" in said else "no token")
sys.exit(keyfob.wait())
