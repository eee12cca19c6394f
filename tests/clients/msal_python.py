"""MSAL for Python."""

import subprocess

import jwt
import msal
import requests
from flow import (
    APP,
    AUTHORITY,
    CERTIFICATE,
    SECRET,
    TENANT,
    WEB,
    approve_device,
    approve_in_browser,
    end,
    flow,
    set_presence,
    token,
)

GRAPH = ["https://graph.microsoft.com/.default"]
SCOPES = ["https://graph.microsoft.com/Presence.ReadWrite"]
REDIRECT = "http://localhost:8400"


def confidential(credential, authority=AUTHORITY):
    return msal.ConfidentialClientApplication(
        APP, authority=authority, client_credential=credential, instance_discovery=False
    )


def public(authority=AUTHORITY):
    return msal.PublicClientApplication(APP, authority=authority, instance_discovery=False)


with flow("msal-python: client secret"):
    app = confidential(SECRET)
    first = token(app.acquire_token_for_client(GRAPH))
    set_presence(first)
with flow("msal-python: client secret, from the cache"):
    assert token(app.acquire_token_for_client(GRAPH)) == first
with flow("msal-python: a wrong secret is refused"):
    refused = confidential("wrong").acquire_token_for_client(GRAPH)
    assert refused["error_codes"] == [7000215], refused
with flow("msal-python: an unknown application is refused"):
    app = msal.ConfidentialClientApplication(
        "no-such-application", authority=AUTHORITY, client_credential=SECRET, instance_discovery=False
    )
    refused = app.acquire_token_for_client(GRAPH)
    assert refused["error_codes"] == [700016], refused

pem = open(CERTIFICATE, encoding="ascii").read()
certificate = pem[pem.index("-----BEGIN CERTIFICATE-----") :]
openssl = ["openssl", "x509", "-in", CERTIFICATE, "-noout", "-fingerprint", "-sha1"]
sha1 = subprocess.run(openssl, check=True, capture_output=True, text=True).stdout.split("=")[1].strip().replace(":", "")
pfx = f"{CERTIFICATE}.pfx"
subprocess.run(["openssl", "pkcs12", "-export", "-in", CERTIFICATE, "-passout", "pass:", "-out", pfx], check=True)
for name, credential in {
    "SHA-1 thumbprint": {"private_key": pem, "thumbprint": sha1},
    "SHA-1 thumbprint and x5c": {"private_key": pem, "thumbprint": sha1, "public_certificate": certificate},
    "SHA-256 thumbprint": {"private_key": pem, "public_certificate": certificate},
    "PFX file": {"private_key_pfx_path": pfx},
    "PFX file and x5c": {"private_key_pfx_path": pfx, "public_certificate": True},
}.items():
    with flow(f"msal-python: certificate, {name}"):
        set_presence(token(confidential(credential).acquire_token_for_client(GRAPH)))

with flow("msal-python: device code"):
    app = public()
    started = app.initiate_device_flow(SCOPES)
    approve_device(started["user_code"])
    result = app.acquire_token_by_device_flow(started)
    set_presence(token(result))
with flow("msal-python: silent, from the cache"):
    account = app.get_accounts()[0]
    assert account["username"] == "me@contoso.onmicrosoft.com", account
    assert token(app.acquire_token_silent(SCOPES, account)) == result["access_token"]
with flow("msal-python: refresh"):
    renewed = token(app.acquire_token_silent(SCOPES, account, force_refresh=True))
    assert renewed != result["access_token"]
    set_presence(renewed)
with flow("msal-python: the published keys verify the ID token"):
    configuration = requests.get(f"{AUTHORITY}/v2.0/.well-known/openid-configuration", timeout=10).json()
    key = jwt.PyJWKClient(configuration["jwks_uri"]).get_signing_key_from_jwt(result["id_token"])
    jwt.decode(result["id_token"], key, ["RS256"], audience=APP, issuer=configuration["issuer"])

for authority in [AUTHORITY, AUTHORITY.replace("contoso.onmicrosoft.com", "organizations")]:
    for mode in ["query", "form_post"]:
        with flow(f"msal-python: authorization code, PKCE, {mode}, {authority.rsplit('/')[-1]}"):
            app = public(authority)
            started = app.initiate_auth_code_flow(SCOPES, redirect_uri=REDIRECT, response_mode=mode)
            _, answer = approve_in_browser(started["auth_uri"])
            set_presence(token(app.acquire_token_by_auth_code_flow(started, answer)))
if WEB:
    web, redirect = f"{WEB}/{TENANT}", "https://app.example/signed-in"
    with flow("msal-python: authorization code of a web server, with its secret"):
        server = confidential(SECRET, web)
        started = server.initiate_auth_code_flow(SCOPES, redirect_uri=redirect)
        _, answer = approve_in_browser(started["auth_uri"])
        set_presence(token(server.acquire_token_by_auth_code_flow(started, answer)), WEB)
    with flow("msal-python: without its secret, a web server is refused"):
        server = public(web)
        started = server.initiate_auth_code_flow(SCOPES, redirect_uri=redirect)
        _, answer = approve_in_browser(started["auth_uri"])
        refused = server.acquire_token_by_auth_code_flow(started, answer)
        assert refused["error_codes"] == [7000218], refused
with flow("msal-python: a wrong nonce is noticed"):
    started = app.initiate_auth_code_flow(SCOPES, redirect_uri=REDIRECT, response_mode="form_post")
    _, answer = approve_in_browser(started["auth_uri"])
    started["nonce"] = "another"
    try:
        app.acquire_token_by_auth_code_flow(started, answer)
    except RuntimeError as error:
        assert "nonce" in str(error), error
    else:
        raise RuntimeError("it was not")
with flow("msal-python: interactive"):
    set_presence(token(public().acquire_token_interactive(SCOPES, timeout=30)))
end()
