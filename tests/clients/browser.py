"""The web browser of the interactive flows: opens the page, approves, and posts the form to the application."""

import sys

import requests
from flow import approve_in_browser

address, answer = approve_in_browser(sys.argv[1])
requests.post(address, data=answer, timeout=10)
