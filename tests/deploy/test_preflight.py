"""What site.yml says to an inventory that will not do, before it has reached any host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).parents[2] / "deploy/ansible"
GROUPS = ["database", "redis", "web", "worker", "scheduler", "monitor"]
GOOD = {
    "site_domain": "app.example.org",
    "site_email_url": "smtp+tls://user:p%40ss@smtp.example.org:587",
    "site_default_from_email": "Django SaaS <hello@example.org>",
    "site_admin_email": "admin@example.org",
    "site_tls": "selfsigned",
}
# Port 1 of loopback answers nobody: a run that gets past the variables ends there.
HOST = "vm ansible_host=127.0.0.1 ansible_port=1"


def inventory(variables: dict[str, str], groups: list[str], host: str = HOST) -> str:
    members = "".join(f"[{group}]\nvm\n" for group in groups)
    values = "".join(f"{name}={value}\n" for name, value in ({"preflight_connection_timeout": "1"} | variables).items())
    return f"{host}\n{members}[all:vars]\n{values}"


def run(path: Path, text: str, *arguments: str) -> tuple[int, str]:
    hosts = path / "hosts.ini"
    hosts.write_text(text)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(hosts), "site.yml", *arguments]
    done = subprocess.run(command, check=False, cwd=ANSIBLE, capture_output=True, text=True)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


MALFORMED = [
    ("site_domain", "https://app.example.org", "without https://"),
    ("site_domain", "App.example.org:8443", "without a port"),
    ("site_domain", "300.1.1.1", "or the IPv4 address"),
    ("site_domain", "10.1", "or the IPv4 address"),
    ("site_email_url", "smtp.example.org", "smtp+tls://user:password@host:587"),
    ("site_email_url", "smtp://host:port", "smtp+tls://user:password@host:587"),
    ("site_email_url", "smtp://host:99999", "the port is 1 to 65535"),
    ("site_email_url", "smtp://user:pass#word@host", "percent-encoded"),
    ("site_email_url", "smtp://user:hunter2@smtp.example.org:25", "to another machine in the clear"),
    ("site_email_url", "smtp://user:hunter2@localhost.example.org", "to another machine in the clear"),
    ("site_default_from_email", "hello", "neither hello@example.org nor Some Name"),
    ("site_admin_email", "admin", "no e-mail address"),
    ("site_tls", "maybe", "it can be selfsigned or provided or acme"),
    ("site_acme_directory", "acme.example.org", "the https:// address"),
    ("flower_writable", "perhaps", "it can be true or false"),
    ("ssh_passwords", "maybe", "it can be true or false"),
    ("ssh_root", "sometimes", "it can be true or false"),
    ("log_strategy", "journal", "it can be console, pid, concurrent, file, queue, syslog, sentry."),
    ("log_strategy", "sentry", "needs sentry_dsn"),
]


def rounds() -> list[dict[str, str]]:
    """Inventories with as many malformed variables as fit, since all of them are told at once."""
    found: list[dict[str, str]] = []
    for name, value, _ in MALFORMED:
        free = next((values for values in found if name not in values), None)
        if free is None:
            found.append({name: value})
        else:
            free[name] = value
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[int, str]]:
    """How each malformed variable's run ended, and what it said."""
    told: dict[tuple[str, str], tuple[int, str]] = {}
    for variables in rounds():
        ended = run(tmp_path_factory.mktemp("round"), inventory(GOOD | variables, GROUPS))
        told |= dict.fromkeys(variables.items(), ended)
    return told


@pytest.mark.parametrize(("name", "value", "sentence"), MALFORMED)
def test_it_explains_a_malformed_variable(
    told: dict[tuple[str, str], tuple[int, str]], name: str, value: str, sentence: str
) -> None:
    code, output = told[name, value]

    assert code == 2
    assert f"{name} is" in output
    assert sentence in output


def test_it_names_the_missing_variables(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory({}, GROUPS))

    assert code == 2
    assert f"- {', '.join(GOOD)} are not set." in output


def test_it_takes_settings_that_the_application_knows_and_the_playbook_does_not_set(tmp_path: Path) -> None:
    settings = "{'DRAIN_SECONDS': 60, 'SECRET_KEY': 'x', 'DRAIN_SECOND': 60, 'EMAIL_TIMEOUT': '5\\n6'}"

    code, output = run(tmp_path, inventory(GOOD | {"app_settings": settings}, GROUPS))

    assert code == 2
    assert "app_settings sets DRAIN_SECOND, SECRET_KEY, EMAIL_TIMEOUT." in output


def test_it_has_the_application_judge_their_values(tmp_path: Path) -> None:
    """Each by itself, and the limit of a task beside the softer one that holds when nothing is said."""
    settings = "{'CELERY_TASK_TIME_LIMIT': 1200, 'DJANGO_LOG_LEVEL': 'loud', 'DRAIN_SECONDS': 'soon'}"

    code, output = run(tmp_path, inventory(GOOD | {"app_settings": settings}, GROUPS))

    assert code == 2
    assert "CELERY_TASK_SOFT_TIME_LIMIT must be less than CELERY_TASK_TIME_LIMIT." in output
    assert "DJANGO_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not “loud”." in output
    assert "DRAIN_SECONDS must be a whole number of 0 or more, not “soon”." in output


def test_it_says_so_when_the_application_cannot_be_asked(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("#DRAIN_SECONDS=300\n")
    (tmp_path / "app/config").mkdir(parents=True)
    (tmp_path / "app/config/__init__.py").write_text("import away\n")
    wrong = {"app_settings": "{'DRAIN_SECONDS': 60}", "preflight_source": str(tmp_path)}

    _, output = run(tmp_path, inventory(GOOD | wrong, GROUPS))

    assert "app_settings cannot be judged, since the application cannot be asked (ModuleNotFoundError: No" in output


def test_it_tells_what_no_firewall_could_be_given(tmp_path: Path) -> None:
    nobody = "{'name': 'a', 'ports': [9100], 'servers': ['wm'], 'clients': ['guest']}"
    guests = "[guests]\nguest ansible_host=127.0.0.1 ansible_port=1\n"

    code, output = run(
        tmp_path,
        inventory(GOOD | {"more_services": f"[{nobody}, {{'ports': [1], 'servers': ['vm']}}]"}, GROUPS) + guests,
    )

    assert code == 2
    assert "missing required arguments: name found in more_services" in output
    assert "more_services names wm;" in output
    assert "more_services lets in guest, for which private_address is not set" in output


def test_it_goes_on_with_what_they_can_be_given(tmp_path: Path) -> None:
    own = "{'name': 'a', 'ports': [9100], 'servers': ['vm'], 'clients': ['vm', 'peer']}"
    peers = "[peers]\npeer ansible_host=127.0.0.1 ansible_port=1 private_address=10.0.0.9\n"
    everybodys = "{'name': 'b', 'ports': [9101], 'servers': ['vm']}"

    _, output = run(tmp_path, inventory(GOOD | {"more_services": f"[{own}, {everybodys}]"}, GROUPS) + peers)

    assert "vm cannot be reached over SSH" in output
    assert "more_services" not in output


@pytest.mark.parametrize(("certificate", "key"), [("site.pem", "site.key"), ("", "")])
def test_provided_means_by_absolute_paths(tmp_path: Path, certificate: str, key: str) -> None:
    files = {"site_tls": "provided", "site_tls_certificate": certificate, "site_tls_key": key}

    code, output = run(tmp_path, inventory(GOOD | files, GROUPS))

    assert code == 2
    assert f'site_tls_certificate is "{certificate}"; with site_tls "provided" it is the absolute path' in output
    assert f'site_tls_key is "{key}"; with site_tls "provided" it is the absolute path' in output
    assert "cannot be read" not in output


def test_an_authority_is_asked_for_a_name_and_not_for_an_address(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD | {"site_tls": "acme", "site_domain": "192.0.2.1"}, GROUPS))

    assert code == 2
    assert 'site_domain is "192.0.2.1", an address: authorities certify names.' in output


def test_an_authority_is_asked_by_one_web_host(tmp_path: Path) -> None:
    code, output = run(
        tmp_path,
        inventory(GOOD | {"site_tls": "acme"}, GROUPS) + "[web]\nother ansible_host=127.0.0.1 ansible_port=1\n",
    )

    assert code == 2
    assert 'site_tls is "acme", and the group web has 2 hosts' in output


def test_it_tells_every_problem_at_once(tmp_path: Path) -> None:
    """Of variables, groups, the commit and the host; sentences for the lot."""
    variables = GOOD | {"site_domain": "localhost"}
    del variables["site_tls"]

    code, output = run(tmp_path, inventory(variables, GROUPS[:-2]), "-e", "app_release_ref=nowhere")

    assert code == 2
    for problem in (
        'site_domain is "localhost"',
        "site_tls is not set.",
        "No host is in the groups scheduler, monitor.",
        'app_release_ref is "nowhere", which is no commit of the application',
        "vm cannot be reached over SSH",
    ):
        assert f"- {problem}" in output


def test_it_tells_what_a_role_would_refuse_later(tmp_path: Path) -> None:
    wrong = {
        "nginx_log": "paper",
        "postgresql_max_connections": "many",
        "celery_worker_instances": "[{'name': 'email'}]",
    }

    code, output = run(tmp_path, inventory(GOOD | wrong, GROUPS))

    assert code == 2
    assert "value of nginx_log must be one of: journal, file, got: paper" in output
    assert "postgresql_max_connections" in output
    assert "missing required arguments: concurrency, queues found in celery_worker_instances" in output
    assert "vm cannot be reached over SSH" in output


MISFORMED = {
    "celery_worker_instances": "[{'name': '../../cron.d/x', 'queues': ['email --purge'], 'concurrency': 0},"
    " {'name': 'mail-next', 'queues': ['email'], 'concurrency': 2}]",
    "firewall_ssh_ports": "[99999]",
    "gunicorn_workers": "0",
    "gunicorn_threads": "0",
    "logging_journal_max_use": '"1G\\nForwardToSyslog=yes"',
    "nginx_certificate_days": "0",
    "operations_broker_memory": "[70]",
    "operations_disk_free": "['15', '5']",
    "postgresql_max_connections": "1000000",
    "postgresql_web_connections": "-2",
    "postgresql_worker_connections": "0",
    "postgresql_web_statement_timeout": "soon",
    "redis_maxmemory": '"256mb\\nrequirepass x"',
    "secrets_length": "4",
    "sentry_dsn": '"https://k@sentry.example.org/1 ALLOWED_HOSTS=*"',
}


def test_it_tells_what_has_another_form_than_the_files_it_is_written_to(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD | MISFORMED, GROUPS))

    assert code == 2
    assert 'celery_worker_instances\' name is "../../cron.d/x", "mail-next" (small letters' in output
    assert 'celery_worker_instances\' queues is "email --purge"' in output
    assert 'celery_worker_instances\' concurrency is "0" (1 or more)' in output
    assert [name for name in MISFORMED if not re.search(rf"{name}(' \w+)? is \"", output)] == []
    assert "vm cannot be reached over SSH" in output


@pytest.mark.parametrize(
    "malformed",
    [
        {"celery_worker_instances": "[{'name': 'a', 'queues': ['email', 'celery']}]"},
        {"celery_worker_instances": "['email', {'queues': ['email'], 'concurrency': 1}]"},
        {"celery_worker_instances": "5"},
        {"more_services": "['x', {'servers': ['vm']}]", "firewall_ssh_ports": "22", "redis_queues": "7"},
    ],
)
def test_a_malformed_list_hides_nothing(tmp_path: Path, malformed: dict[str, str]) -> None:
    wrong = {"gunicorn_workers": "0", "redis_maxmemory": "10"}

    _, output = run(tmp_path, inventory(GOOD | wrong | malformed, GROUPS))

    assert 'gunicorn_workers is "0"' in output
    assert 'redis_maxmemory is "10" (10mb or more, such as 256mb or 2gb)' in output


def test_it_tells_texts_from_lists_and_mappings(tmp_path: Path) -> None:
    texts = {"redis_queues": "celery,email", "app_settings": "DRAIN_SECONDS=60", "operations_oldest_task": "120 900"}

    code, output = run(tmp_path, inventory(GOOD | texts, GROUPS))

    assert code == 2
    assert "app_settings, operations_oldest_task, redis_queues of vm is a text" in output


@pytest.mark.parametrize(
    ("instances", "sentence"),
    [
        ("{'name': 'a', 'queues': 'email', 'concurrency': 1}", 'queues is "email" (a list, such as [email])'),
        (
            "{'name': 'a', 'queues': ['mail'], 'concurrency': 1}",
            'queues is "mail" (which redis_queues has to name too)',
        ),
        ("*2, {'name': 'a', 'queues': ['email'], 'concurrency': 1}", 'name is "a", "a" (each once)'),
    ],
)
def test_it_tells_workers_that_would_not_work(tmp_path: Path, instances: str, sentence: str) -> None:
    twice = instances.removeprefix("*2, ")
    value = f"[{twice}, {twice}]" if instances != twice else f"[{instances}]"

    _, output = run(tmp_path, inventory(GOOD | {"celery_worker_instances": value}, GROUPS))

    assert f"celery_worker_instances' {sentence}" in output


def test_it_tells_more_services_that_no_firewall_takes(tmp_path: Path) -> None:
    more = "[{'name': 'x; drop', 'ports': [99999, 0], 'servers': ['vm']}]"

    _, output = run(tmp_path, inventory(GOOD | {"more_services": more}, GROUPS))

    assert 'more_services\' name is "x; drop"' in output
    assert 'more_services\' ports is "99999", "0" (1 to 65535)' in output


def test_it_takes_what_the_documents_show(tmp_path: Path) -> None:
    values = {
        "app_settings": "{'DRAIN_SECONDS': 60, 'EMAIL_TIMEOUT': '5', 'CELERY_ALWAYS_EAGER': False}",
        "celery_worker_instances": "[{'name': 'email-2', 'queues': ['email', 'celery'], 'concurrency': 25}]",
        "firewall_ssh_ports": "[22, 2222]",
        "gunicorn_workers": "3",
        "logging_journal_max_use": "500M",
        "redis_maxmemory": "2gb",
        "sentry_dsn": "https://key@sentry.example.org/1",
        "site_email_url": "smtp://user:hunter2@localhost:1025",
    }

    _, output = run(tmp_path, inventory(GOOD | values, GROUPS))

    assert "vm cannot be reached over SSH" in output
    assert "does not have the form" not in output
    assert "site_email_url" not in output
    assert "the application would not start with" not in output


def test_what_the_inventory_makes_of_facts_is_left_to_the_roles(tmp_path: Path) -> None:
    values = {"gunicorn_threads": "{{ ansible_facts.nonsense }}", "gunicorn_workers": "0"}

    code, output = run(tmp_path, inventory(GOOD | values, GROUPS))

    assert code == 2
    assert 'gunicorn_workers is "0"' in output
    assert "gunicorn_threads is" not in output
    assert "vm cannot be reached over SSH" in output


def test_it_does_not_print_the_mail_password(tmp_path: Path) -> None:
    _, output = run(tmp_path, inventory(GOOD | {"site_email_url": "smtp://user:hunter2@"}, GROUPS), "-v")

    assert "site_email_url is not of the form" in output
    assert "hunter2" not in output


def test_it_refuses_an_inventory_without_hosts(tmp_path: Path) -> None:
    code, output = run(tmp_path, "")

    assert code == 2
    assert "names no host" in output


def test_it_says_how_to_mend_an_unreachable_host(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD, GROUPS))

    assert code == 2
    assert "vm cannot be reached over SSH" in output
    assert "Connection refused" in output
    assert [name for name in GOOD if f"{name} is " in output] == []
    assert not Path(f"{tmp_path}.secrets.yml").exists()
