"""azure-identity for Python."""

import logging

from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DeviceCodeCredential,
    InteractiveBrowserCredential,
)
from flow import APP, CERTIFICATE, EMULATOR, SECRET, TENANT, approve_device, end, flow, set_presence

GRAPH = "https://graph.microsoft.com/.default"
# `disable_instance_discovery`: the authority is not one of Microsoft's.
WHERE = {"authority": EMULATOR, "disable_instance_discovery": True}
# A refusal that is expected would be logged.
logging.disable()

for name, credential in {
    "client secret": ClientSecretCredential(TENANT, APP, SECRET, **WHERE),
    "certificate": CertificateCredential(TENANT, APP, CERTIFICATE, **WHERE),
    "certificate and x5c": CertificateCredential(TENANT, APP, CERTIFICATE, send_certificate_chain=True, **WHERE),
    "PFX certificate": CertificateCredential(TENANT, APP, f"{CERTIFICATE}.pfx", password="", **WHERE),
    "device code": DeviceCodeCredential(
        APP, tenant_id=TENANT, prompt_callback=lambda uri, user_code, until: approve_device(user_code), **WHERE
    ),
    "interactive": InteractiveBrowserCredential(tenant_id=TENANT, client_id=APP, timeout=30, **WHERE),
}.items():
    with flow(f"azure-identity: {name}"):
        token = credential.get_token(GRAPH).token
        set_presence(token)
    with flow(f"azure-identity: {name}, from the cache"):
        assert credential.get_token(GRAPH).token == token
with flow("azure-identity: a malformed assertion is refused"):
    try:
        ClientAssertionCredential(TENANT, APP, lambda: "no assertion", **WHERE).get_token(GRAPH)
    except Exception as error:
        assert "AADSTS50027" in str(error), error
    else:
        raise RuntimeError("it was not")
end()
