"""The database of errors on a PostgreSQL server that may be gone, full, strict or restarted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from otel_monitoring.exceptions import StoreError
from tests.servers import ServerMissingError, free_port, wait_until
from tests.stored_errors import SECRET, batch_of, failing, payload_of, run_sql

if TYPE_CHECKING:
    from otel_monitoring.errors.database.database import Database
    from tests.postgres import PostgresServer
    from tests.stored_errors import Open


@pytest.fixture
def server_url(postgres: PostgresServer) -> str:
    return postgres.create_database()


@pytest.fixture
def served(open_database: Open, server_url: str) -> Database:
    """A database on the server, ready."""
    database = open_database(server_url)
    database.prepare()
    return database


def test_without_a_server_to_start_the_tests_say_what_to_install() -> None:
    from tests.postgres import find_postgres_program

    with pytest.raises(ServerMissingError, match=r"apt-get install .* postgresql"):
        find_postgres_program("no-such-program")


def test_a_server_that_is_not_there_is_tried_again_later(open_database: Open) -> None:
    database = open_database(f"postgresql://someone:{SECRET}@127.0.0.1:{free_port()}/errors?application_name={SECRET}")
    with failing(passing=True, match=r"postgresql://127\.0\.0\.1:\d+/errors: it cannot be reached .*refused"):
        database.prepare()


def test_a_name_that_nobody_knows_is_tried_again_later(open_database: Open) -> None:
    with failing(passing=True, match="it cannot be reached"):
        open_database(f"postgresql://someone:{SECRET}@no-such-host.invalid/errors").prepare()


def test_a_wrong_password_is_not_tried_again(open_database: Open, postgres: PostgresServer) -> None:
    with failing(passing=False, match="password authentication failed"):
        open_database(postgres.url_of("postgres", password=SECRET)).prepare()


def test_a_database_that_is_not_there_is_not_tried_again(open_database: Open, postgres: PostgresServer) -> None:
    with failing(passing=False, match='database "nowhere" does not exist'):
        open_database(postgres.url_of("nowhere")).prepare()


def test_a_wrong_option_is_not_tried_again(open_database: Open, postgres: PostgresServer) -> None:
    with failing(passing=False, match="invalid sslmode value"):
        open_database(f"{postgres.url}?sslmode=no").prepare()
    with failing(passing=False, match="invalid connection option"):
        open_database(f"{postgres.url}?nonsense={SECRET}").prepare()


def test_a_missing_permission_says_what_to_grant(
    open_database: Open, postgres: PostgresServer, server_url: str
) -> None:
    run_sql(server_url, f"CREATE ROLE reader1 LOGIN PASSWORD '{SECRET}'", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    database_name = server_url.rpartition("/")[2]
    reader = open_database(postgres.url_of(database_name, user="reader1", password=SECRET))
    with failing(passing=False, match="GRANT it CREATE on the schema"):
        reader.prepare()
    open_database(server_url).prepare()
    with failing(passing=False, match="this user lacks a permission"):
        reader.prepare()
    run_sql(server_url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader1")
    reader.prepare()
    assert reader.events() == []
    with failing(passing=False, match="this user lacks a permission"):
        reader.write("s", batch_of([1]))


def test_a_server_that_is_full_is_tried_again_later(
    open_database: Open, postgres: PostgresServer, server_url: str
) -> None:
    name = server_url.rpartition("/")[2]
    run_sql(server_url, f"CREATE ROLE crowd LOGIN PASSWORD '{SECRET}' CONNECTION LIMIT 0")
    with failing(passing=True, match="too many connections"):
        open_database(postgres.url_of(name, user="crowd", password=SECRET)).prepare()


def test_a_stopped_server_is_used_again_when_it_is_back(postgres: PostgresServer, served: Database) -> None:
    served.write("s", batch_of([1, 2]))
    for end in (postgres.stop, postgres.kill):
        end()
        with failing(passing=True, match="it cannot be reached"):
            served.write("s", batch_of([3]))
        postgres.start()
    assert served.last_number("s") == 2
    assert served.write("s", batch_of([2, 3])) == 1
    (group,) = served.groups()
    assert group.count == 3


def test_connections_that_are_cut_mid_load_cost_nothing(postgres: PostgresServer, served: Database) -> None:
    name = served.shown.rpartition("/")[2]
    stopped, failures = threading.Event(), list[StoreError]()
    written = 0

    def write_on() -> None:
        nonlocal written
        while not stopped.is_set():
            batch = batch_of(range(written + 1, written + 201), message="x" * 200)
            try:
                new = served.write("s", batch)
            except StoreError as error:
                failures.append(error)
            else:
                assert new in (0, 200)  # nothing is new where the server answered to the commit only with its end
                written += 200

    def cut() -> bool:
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND state <> 'idle' AND pid <> pg_backend_pid()"
        )
        return len(failures) >= 10

    writing = threading.Thread(target=write_on)
    writing.start()
    try:
        wait_until(cut)
    finally:
        stopped.set()
        writing.join()
    assert {error.passing for error in failures} == {True}
    assert served.last_number("s") == written
    assert sum(group.count for group in served.groups()) == written
    assert run_sql(postgres.url_of(name), "SELECT count(*) FROM monitoring_error_events") == [(written,)]


def test_the_server_shows_who_is_connected_unless_the_url_says_otherwise(
    open_database: Open, postgres: PostgresServer, server_url: str
) -> None:
    def names() -> set[object]:
        name = server_url.rpartition("/")[2]
        return {row[0] for row in postgres.run(f"SELECT application_name FROM pg_stat_activity WHERE datname='{name}'")}

    for url, shown in ((server_url, "otel-monitoring"), (f"{server_url}?application_name=shop", "shop")):
        database = open_database(url)
        database.prepare()
        assert names() == {shown}
        database.close()
        wait_until(lambda: not names())


def test_a_transaction_bounds_what_it_waits_for(open_database: Open, server_url: str) -> None:
    database = open_database(server_url, wait_seconds=0.3)
    database.prepare()
    bounds = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    asked = ", ".join(f"current_setting('{bound}')" for bound in bounds)
    run_sql(
        server_url,
        "CREATE TABLE noted (statement TEXT, lock TEXT, idle TEXT)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN INSERT INTO noted VALUES ({asked}); RETURN NEW; END $$",
        "CREATE TRIGGER note BEFORE INSERT ON monitoring_error_groups FOR EACH ROW EXECUTE FUNCTION note()",
    )
    database.write("s", batch_of([1]))
    assert run_sql(server_url, "SELECT * FROM noted") == [("30s", "300ms", "1min")]


def test_an_encoding_that_lacks_characters_costs_only_the_errors_that_need_them(
    open_database: Open, postgres: PostgresServer
) -> None:
    url = postgres.create_database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    refused: list[str | None] = []
    database = open_database(url, refused=lambda payload, reason: refused.append(payload.get("message")))
    database.prepare()
    texts = ["plain", "Zürich", "東京", "plain again"]
    batch = [(number, payload_of(number, message=text)) for number, text in enumerate(texts, 1)]
    assert database.write("s", batch) == 3
    assert refused == ["東京"]
    assert [event.message for event in database.events()] == ["plain again", "Zürich", "plain"]
