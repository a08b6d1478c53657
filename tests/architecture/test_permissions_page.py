from tests.architecture.permissions_page import PAGE, permissions_page


def test_the_page_about_permissions_is_made_from_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == permissions_page()
