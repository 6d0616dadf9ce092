"""A visitor on the computer that the machine runs on: visitor.py SITE INBOX registers and prints the welcome mail."""

import secrets
import sys
import time
import warnings
from pathlib import Path

from lab import mail
from lab.browser import Browser

# Emulated, a worker takes its time.
MAIL_SECONDS = 300


def main(site: str, inbox: str) -> None:
    # Whose certificate it is, the lab's tests look at; here the site has two names, and one certificate of its own.
    warnings.filterwarnings("ignore", "Unverified HTTPS request")
    browser = Browser(site, Path())
    browser.session.verify = False
    name, password = f"visitor-{secrets.token_hex(4)}", secrets.token_urlsafe(15)
    answer = browser.submit(
        "/accounts/register/", username=name, email=f"{name}@example.org", password1=password, password2=password
    )
    if not (answer.ok and answer.url.startswith(site) and "Account created successfully!" in answer.text):
        sys.exit(f"{answer.url} answered {answer.status_code}:\n{answer.text}")
    if "Strict-Transport-Security" in answer.headers and "localhost" in site:
        sys.exit("Browsers would ask every localhost for TLS.")
    print(subject_of_mail(inbox, f"{name}@example.org"))


def subject_of_mail(inbox: str, recipient: str) -> str:
    end = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < end:
        if mails := mail.inbox(inbox, recipient):
            return str(mails[0]["subject"])
        time.sleep(1)
    sys.exit(f"No mail for {recipient} after {MAIL_SECONDS} s.")


if __name__ == "__main__":
    main(*sys.argv[1:])
