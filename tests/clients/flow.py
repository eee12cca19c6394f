"""What the Python scripts share: the emulator's address, a person at the browser, and a line for each flow."""

import contextlib
import html
import os
import re
import sys
import urllib.parse

import requests

EMULATOR = os.environ["EMULATOR"]
# Another one, whose application is a web server.
WEB = os.environ.get("WEB")
TENANT = "contoso.onmicrosoft.com"
AUTHORITY = f"{EMULATOR}/{TENANT}"
APP = "22553876-f5ab-4529-bffb-cfe50aa89f87"
SECRET = "emulator-secret"
USER = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
# The key and the certificate of the application, in PEM.
CERTIFICATE = os.environ["CERTIFICATE"]

failed = []


@contextlib.contextmanager
def flow(name):
    """Prints whether what is done in it works."""
    try:
        yield
    except Exception as error:  # pylint: disable=broad-except
        failed.append(name)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"FAILED  {name}: {text[:600]}", flush=True)
    else:
        print(f"ok      {name}", flush=True)


def token(result):
    """The token in an answer of MSAL, which reports errors as values."""
    if "access_token" not in result:
        raise RuntimeError(result.get("error_description") or result)
    return result["access_token"]


def set_presence(bearer, emulator=EMULATOR):
    """The proof that a token is good: it sets a presence."""
    body = {"sessionId": APP, "availability": "Busy", "activity": "InACall", "expirationDuration": "PT5M"}
    url = f"{emulator}/v1.0/users/{USER}/presence/setPresence"
    requests.post(url, json=body, headers={"Authorization": f"Bearer {bearer}"}, timeout=10).raise_for_status()


def approve_device(user_code):
    """A person types the code of a device and agrees."""
    requests.post(f"{EMULATOR}/_emulator/device/{user_code}/approve", timeout=10).raise_for_status()


def approve_in_browser(page):
    """A person opens the page and agrees. Returns the address that the browser is sent to, and the answer for it."""
    opened = requests.get(page, timeout=10)
    decision = re.search(r'action="(/_emulator/consent/[^"]+/approve)"', opened.text)
    if not decision:
        raise RuntimeError(f"the page has no button to approve: {opened.text}")
    sent = requests.post(urllib.parse.urljoin(page, decision[1]), allow_redirects=False, timeout=10)
    if sent.is_redirect:
        address, _, query = sent.headers["Location"].partition("?")
        return address, dict(urllib.parse.parse_qsl(query))
    address = html.unescape(re.search(r'<form method="post" action="([^"]+)"', sent.text)[1])
    inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', sent.text)
    return address, {name: html.unescape(value) for name, value in inputs}


def end():
    """Ends the script."""
    sys.exit(1 if failed else 0)
