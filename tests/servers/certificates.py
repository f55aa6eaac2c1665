"""Certificates for the test servers: a CA made for nothing else, what it signed, and a CA that signed none of it.

Valid from 2020 to 2120, so that no test depends on today's date. The keys guard nothing: this file publishes them.
"""

import ssl
from pathlib import Path

CA = """\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR6gAwIBAgIUCE6PQPb8OY7sDLhP6Cx5shotrEAwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZGlnZXN0IHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBkxFzAVBgNVBAMMDmRpZ2VzdCB0ZXN0IENBMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEHkOfX4CknFJTELwulmFS1ABNPR87Do0qwwEivDDN
tdIteoLIQLJ2IXfb8uBpfxdr0r76MeKUjuekyvQ3jCwvWaNCMEAwDwYDVR0TAQH/
BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFKyJ1GaDGsStFmDCY1Bx
qXW1lBRjMAoGCCqGSM49BAMCA0gAMEUCIGriF2YSdIXtxUpjP7uTQ/tWR2Cf0w5t
AjCrArt2c8NRAiEAuRrGFefCt4wuyIxNw/h8ZWpAOg8QEc3H8SOC8+kMgEo=
-----END CERTIFICATE-----
"""

OTHER_CA = """\
-----BEGIN CERTIFICATE-----
MIIBejCCASCgAwIBAgIUdXUCGgK6PT5S/wUzMjurYGTGXCIwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPYW5vdGhlciB0ZXN0IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIx
MjAwMTAxMDAwMDAwWjAaMRgwFgYDVQQDDA9hbm90aGVyIHRlc3QgQ0EwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATVTwrpWowia6vuumYvI0g+0jUTSLYnqlSfXg11
noP3MgWsOat/HD7o2CdnY8yYVJ/fbMUMoNE+NDyMy9XNYLS4o0IwQDAPBgNVHRMB
Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQU+F2CgqqmiqWHwIi2
3i2xIq02bFkwCgYIKoZIzj0EAwIDSAAwRQIhAJrdw1L25+BxC0s38TxVb2rTuJz+
ogIIObDoma6tj4rLAiB4gXdl56IkPpbjTT5JyZLpslUGqT54ZAULSc5i+jXJag==
-----END CERTIFICATE-----
"""

LOCALHOST = """\
-----BEGIN CERTIFICATE-----
MIIB1jCCAXygAwIBAgIUUjd8sCaq8ZT/g69JYegc/gzQ4i8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZGlnZXN0IHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABKGvZKJ4s+Z4P+R3hnSUGUEvQqbtRA+H2dY0vCYeHNxrhR84
QWSoozqH/88x8uRKzFDPwoh8JwRl5G9yhFM3JJ2jgaQwgaEwDAYDVR0TAQH/BAIw
ADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwEwLAYDVR0RBCUw
I4IJbG9jYWxob3N0hwR/AAABhxAAAAAAAAAAAAAAAAAAAAABMB0GA1UdDgQWBBTs
PyGAsV+PE5aq9v6Sf4vQm2mW4TAfBgNVHSMEGDAWgBSsidRmgxrErRZgwmNQcal1
tZQUYzAKBggqhkjOPQQDAgNIADBFAiEA6k/Z5H1GG6VQrHHFxJ5+0hKJQi+1vhUN
3l7+yUnWZYECIDZA+BRq1YM4z0xhteKYDwHjjPlggvyD5YWsFmFwylex
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTKvEOaWeLH0ofYsx
KPXahNcMZE1ZckdFwG2Bxv2uenOhRANCAAShr2SieLPmeD/kd4Z0lBlBL0Km7UQP
h9nWNLwmHhzca4UfOEFkqKM6h//PMfLkSsxQz8KIfCcEZeRvcoRTNySd
-----END PRIVATE KEY-----
"""
"""Certificate and key for localhost, 127.0.0.1 and ::1."""

ANOTHER_HOST = """\
-----BEGIN CERTIFICATE-----
MIIBzDCCAXKgAwIBAgIUJaurgKBztDKQrN8pTQwnkcGz5BswCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZGlnZXN0IHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBsxGTAXBgNVBAMMEG1haWwuZXhhbXBsZS5vcmcwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAQpZUqkN5wymyyEYl9qDVSUKia0VbnCBwZTLPjq
kLt9/oauESLd0vVVcFSVctQIXl6Z5f0Qj+5ggK2fbMugCTrCo4GTMIGQMAwGA1Ud
EwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMBsG
A1UdEQQUMBKCEG1haWwuZXhhbXBsZS5vcmcwHQYDVR0OBBYEFJBrZGLt/+hS164M
oQAx2ofDO6ciMB8GA1UdIwQYMBaAFKyJ1GaDGsStFmDCY1BxqXW1lBRjMAoGCCqG
SM49BAMCA0gAMEUCIBSxcXHmDSIh6ZRmUupmo+7CBGV7wXCnB9cIyOOivp0SAiEA
rKRDVhQTX8tx1Udj3RNpTq+KhXAWhuBf+xKfZ+bDrUE=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCdZ+8TiIpIm3IHq7
jsR+kzs1lYxr3szyog2k75vTTqShRANCAAQpZUqkN5wymyyEYl9qDVSUKia0VbnC
BwZTLPjqkLt9/oauESLd0vVVcFSVctQIXl6Z5f0Qj+5ggK2fbMugCTrC
-----END PRIVATE KEY-----
"""
"""Certificate and key for mail.example.org, by the same CA."""


def ca_file(folder: Path, pem: str = CA) -> Path:
    """A file in `folder` with the CA certificate that a client is to trust."""
    path = folder / ("ca.pem" if pem == CA else "other-ca.pem")
    path.write_text(pem)
    return path


def server_context(folder: Path, pem: str = LOCALHOST) -> ssl.SSLContext:
    """What a server needs to speak TLS with this certificate and key; they pass through a file in `folder`."""
    path = folder / "server.pem"
    path.write_text(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context
