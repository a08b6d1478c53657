"""What mails say and how they look on the wire, whatever the names in them are."""

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from email_validator import EmailNotValidError
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.database.user import Language, Role
from graphql_api.services.mail.compose import compose
from graphql_api.services.mail.message import VALUES, Mail, MailKind
from tests.faults.mail_server import html_of, text_of

SENDER = "no-reply@example.com"
CODE = "K7PX-29QT"
SHOWN: dict[str, Any] = {
    "name": "Mona",
    "code": CODE,
    "minutes": 10,
    "role": Role.STAFF,
    "expires_at": datetime(2026, 3, 5, 14, 30, tzinfo=UTC),
    "products": [{"product": "Mona", "store": "Acme", "on_hand": 3, "threshold": 10}],
    "others": 4,
}
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
}
SUBJECTS = {
    (MailKind.VERIFY_EMAIL, Language.EN): "Confirm your e-mail address",
    (MailKind.VERIFY_EMAIL, Language.AR): "تأكيد عنوان بريدك الإلكتروني",
    (MailKind.INVITATION, Language.EN): "Invitation from Acme",
    (MailKind.INVITATION, Language.AR): "دعوة من Acme",
}


def create_mail(
    kind: MailKind = MailKind.RESET_PASSWORD,
    language: Language = Language.EN,
    to: str = "mona@example.com",
    **values: object,
) -> Mail:
    """A mail with exactly what its kind needs."""
    return Mail(kind, to, language, {name: SHOWN[name] for name in VALUES[kind]} | values)


def sent(mail: Mail, company: str = "Acme") -> EmailMessage:
    """The mail as its reader's program sees it."""
    wire = compose(mail, company=company, sender=SENDER).as_bytes()
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    return email.message_from_bytes(wire, policy=email.policy.default)


def words_of(language: Language) -> str:
    return "abcdefghijklmnopqrstuvwxyz" if language is Language.EN else "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", list(MailKind))
def test_each_mail_is_text_and_html_in_its_readers_language(kind: MailKind, language: Language) -> None:
    mail = sent(create_mail(kind, language))
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    direction = "ltr" if language is Language.EN else "rtl"
    assert f'<html lang="{language}" dir="{direction}">' in html_of(mail)
    assert mail["Content-Language"] == language
    for words in (mail["Subject"], text_of(mail), html_of(mail).partition("<h1")[2]):
        assert set(words_of(language)) & set(words)
        assert "{" not in words
        assert "%(" not in words
    if language is Language.AR:
        said = text_of(mail).replace("Mona", "").replace("Acme", "").replace(CODE, "").replace("UTC", "")
        assert not set(words_of(Language.EN)) & set(said.lower())
    assert (CODE in text_of(mail)) is (CODE in html_of(mail)) is ("code" in VALUES[kind])


@pytest.mark.parametrize(("kind", "language"), SUBJECTS)
def test_subjects_arrive_as_they_were_written(kind: MailKind, language: Language) -> None:
    assert sent(create_mail(kind, language))["Subject"] == SUBJECTS[kind, language]


def test_the_head_says_who_when_and_that_nobody_reads_answers() -> None:
    first, second = sent(create_mail()), sent(create_mail())
    assert set(first.keys()) == HEADERS
    assert (first["From"], first["To"]) == (f"Acme <{SENDER}>", "mona@example.com")
    assert abs(parsedate_to_datetime(first["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"].endswith("@example.com>")
    assert first["Message-ID"] != second["Message-ID"]


@pytest.mark.parametrize(
    ("minutes", "said"), [(1, "لمدة دقيقة واحدة"), (2, "لمدة دقيقتين"), (10, "لمدة 10 دقائق"), (15, "لمدة 15 دقيقة")]
)
def test_arabic_counts_as_arabic_does(minutes: int, said: str) -> None:
    assert said in text_of(sent(create_mail(language=Language.AR, minutes=minutes)))


@pytest.mark.parametrize(
    ("language", "day", "role"),
    [
        (Language.EN, "5 March 2026, 14:30 UTC", "a member of the staff"),
        (Language.AR, "5 مارس 2026, 14:30 UTC", "موظف"),
    ],
)
def test_dates_and_roles_are_written_out(language: Language, day: str, role: str) -> None:
    text = text_of(sent(create_mail(MailKind.INVITATION, language)))
    assert day in text
    assert role in text


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    mail = sent(create_mail(name='<a href="http://evil.example">Mona</a>'), company="<script>alert(1)</script>")
    assert "<a href" not in html_of(mail)
    assert "<script" not in html_of(mail)
    assert "&lt;a href=" in html_of(mail)


def test_nobody_is_addressed_by_the_name_that_a_stranger_has_registered_with() -> None:
    mail = sent(create_mail(MailKind.VERIFY_EMAIL, name="Win a prize at evil.example"))
    assert "evil.example" not in text_of(mail) + html_of(mail)


@pytest.mark.parametrize(
    "name", ["Mona\r\nBcc: all@example.com", 'Mo"na, <x@example.com>', "منى\n\nX-Kind: خبر", "\u202egpj.exe"]
)
def test_names_stay_in_their_place(name: str) -> None:
    mail = sent(create_mail(MailKind.INVITATION), company=name)
    assert set(mail.keys()) == HEADERS
    (sender,) = mail["From"].addresses
    assert sender.addr_spec == SENDER
    assert not set("\r\n\u202e") & set(sender.display_name + mail["Subject"])


@given(name=st.text(), company=st.text(min_size=1))
def test_no_name_breaks_a_mail(name: str, company: str) -> None:
    mail = sent(create_mail(name=name), company=company)
    assert set(mail.keys()) == HEADERS
    assert [address.addr_spec for address in mail["To"].addresses] == ["mona@example.com"]
    assert len(list(mail.iter_parts())) == 2
    assert text_of(mail).splitlines().count(f"    {CODE}") == 1


@pytest.mark.parametrize(
    "address",
    [
        "mona@example.com\r\nBcc: all@example.com",
        "mona@example.com, all@example.com",
        "Mona <mona@example.com>",
        "mona",
        "",
    ],
)
def test_what_is_no_address_gets_no_mail(address: str) -> None:
    with pytest.raises(EmailNotValidError):
        compose(create_mail(to=address), company="Acme", sender=SENDER)


def test_domains_travel_in_ascii() -> None:
    assert (
        compose(create_mail(to="mona@münchen.example"), company="A", sender=SENDER)["To"]
        == "mona@xn--mnchen-3ya.example"
    )


def test_a_mail_that_could_not_be_put_into_words_is_not_even_begun() -> None:
    with pytest.raises(ValueError, match=r"lacks the values \['code', 'minutes'\]"):
        Mail(MailKind.VERIFY_EMAIL, "mona@example.com", Language.EN, {"name": "Mona"})


def test_what_a_mail_speaks_of_is_not_shown_in_logs() -> None:
    assert CODE not in repr(create_mail())
