"""Putting mails into words: the templates in the reader's language, as text and as HTML."""

from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from typing import Any

from babel import Locale
from babel.dates import format_datetime
from email_validator import validate_email
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from graphql_api.database.user import Language, Role
from graphql_api.services.mail.message import Mail, MailKind
from graphql_api.services.translation import CATALOGUES, Sentence, translate

# Servers that take seven bits only are still about; longer names than this are no names.
POLICY = SMTP.clone(cte_type="7bit")
POLICY_INTERNATIONAL = POLICY.clone(utf8=True)
MAX_SHOWN = 100

ROLE_NAMES: Mapping[Role, Sentence] = {
    Role.ADMIN: Sentence("an administrator"),
    Role.STAFF: Sentence("a member of the staff"),
    Role.SALESPERSON: Sentence("a salesperson"),
    Role.CUSTOMER: Sentence("a customer"),
}


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("graphql_api.services.mail"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        keep_trailing_newline=True,
    )
    # the extension adds this method, which no type tells of
    environment.install_gettext_translations(CATALOGUES[language], newstyle=True)  # type: ignore[attr-defined]  # as above
    return environment


ENVIRONMENTS: Mapping[Language, Environment] = {language: _environment(language) for language in Language}


def compose(mail: Mail, *, company: str, sender: str) -> EmailMessage:
    """The mail as it goes over the wire: text and HTML in the reader's language.

    Args:
        mail: what to say, and to whom.
        company: in whose name.
        sender: the address it comes from.

    Raises:
        ValueError: `mail.to` is not an address that a mail can be sent to.
    """
    company = one_line(company)
    subject = translate(_subject(mail.kind, company), mail.language)
    values = {**_shown(mail), "company": company, "subject": subject}
    recipient = _deliverable(mail.to)
    message = EmailMessage(POLICY if recipient.isascii() else POLICY_INTERNATIONAL)
    message["From"] = Address(company, addr_spec=sender)
    message["To"] = Address(addr_spec=recipient) if recipient.isascii() else recipient
    message["Subject"] = subject
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_rendered(mail, "txt", values))
    message.add_alternative(_rendered(mail, "html", values), subtype="html")
    message["Content-Language"] = mail.language.value  # last, for the two before it drop such headers
    return message


def one_line(text: str) -> str:
    """The text fit for a header or a line of its own: one line, of what can be seen, not endless."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:MAX_SHOWN]


def _subject(kind: MailKind, company: str) -> Sentence:
    match kind:
        case MailKind.VERIFY_EMAIL:
            return Sentence("Confirm your e-mail address")
        case MailKind.ALREADY_REGISTERED:
            return Sentence("You have an account already")
        case MailKind.RESET_PASSWORD:
            return Sentence("Set a new password")
        case MailKind.PASSWORD_CHANGED:
            return Sentence("Your password was changed")
        case MailKind.INVITATION:
            return Sentence("Invitation from {company}", company=company)
        case MailKind.LOW_STOCK:
            return Sentence("Low stock")


def _deliverable(address: str) -> str:
    """The address with its domain in ASCII, as mail servers want it."""
    checked = validate_email(address, check_deliverability=False, test_environment=True)
    return checked.ascii_email or f"{checked.local_part}@{checked.ascii_domain}"


def _rendered(mail: Mail, kind: str, values: Mapping[str, Any]) -> str:
    template = ENVIRONMENTS[mail.language].get_template(f"{mail.kind.lower()}.{kind}")
    locale = Locale(mail.language.value)
    return template.render(values, language=mail.language.value, direction=locale.text_direction)


def _shown(mail: Mail) -> dict[str, Any]:
    return {name: _shown_value(value, mail.language) for name, value in mail.values.items()}


def _shown_value(value: Any, language: Language) -> Any:
    match value:
        case Role():
            return translate(ROLE_NAMES[value], language)
        case datetime():
            return format_datetime(value, "d MMMM y, HH:mm 'UTC'", locale=language.value)
        case str():
            return one_line(value)
        case Mapping():
            return {name: _shown_value(part, language) for name, part in value.items()}
        case list():
            return [_shown_value(part, language) for part in value]
    return value
