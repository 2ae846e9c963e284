"""What views of IAM hold of credentials, secrets included, in the clear. Pure: no I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource


class LastUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and for what an access key was last used."""

    timestamp: datetime
    service: str
    region: str


class AccessKey(Resource, frozen=True, kw_only=True, tag="access_key"):
    """An access key: ``access-key/USER/ID``; of a role's session, or left by a user: ``other-access-key/ID``.

    Attributes:
        secret_access_key: in the clear.
        last_used: every request that the key signs changes it; of that alone no event tells.
        listed: requests signed with it are the account's; the emulator can forget that.
    """

    access_key_id: str
    secret_access_key: str
    user_name: str | None
    role_arn: str | None
    status: str
    create_date: datetime
    last_used: LastUse | datetime | None
    listed: bool


class LoginProfile(Resource, frozen=True, kw_only=True, tag="login_profile"):
    """A user's password, in the clear: ``login-profile/USER``."""

    password: str


class MfaDevice(Resource, frozen=True, kw_only=True, tag="mfa_device"):
    """An MFA device that is enabled for a user: ``mfa-device/USER/SERIAL``."""

    serial_number: str
    enable_date: datetime
    authentication_code_1: str | None
    authentication_code_2: str | None


class VirtualMfaDevice(Resource, frozen=True, kw_only=True, tag="virtual_mfa_device"):
    """A virtual MFA device: ``virtual-mfa-device/SERIAL``.

    Attributes:
        base32_string_seed: in the clear.
        user: name of the resource of the user who has it.
        user_attribute: what was known of that user when it was enabled.
    """

    serial_number: str
    base32_string_seed: str
    qr_code_png: bytes
    enable_date: datetime | None
    user: str | None
    user_attribute: Any


class SshPublicKey(Resource, frozen=True, kw_only=True, tag="ssh_public_key"):
    """An SSH public key: ``ssh-public-key/USER/ID``."""

    ssh_public_key_id: str
    ssh_public_key_body: str
    user_name: str
    fingerprint: str
    status: str
    upload_date: datetime


class SigningCertificate(Resource, frozen=True, kw_only=True, tag="signing_certificate"):
    """A signing certificate: ``signing-certificate/USER/ID``."""

    id: str
    user_name: str
    body: str
    status: str
    upload_date: datetime


class ServerCertificate(Resource, frozen=True, kw_only=True, tag="server_certificate"):
    """A server certificate: ``server-certificate/NAME``, the name percent-encoded; a second one of that name, as the
    emulator allows: ``server-certificate/NAME/ID``.

    Attributes:
        private_key: in the clear.
    """

    id: str
    name: str
    path: str
    body: str
    private_key: str
    chain: str | None
