"""Wiring. Every variable read here is explained in docs/settings.md; a test compares the two."""

import os
import sys
from pathlib import Path

from celery.schedules import crontab
from django_guid.integrations import CeleryIntegration
from kombu import Exchange, Queue

from config import env
from config.logging import LEVELS, STRATEGIES, Place, build

BASE_DIR = Path(__file__).resolve().parent.parent
# On a VM the folder of a release has its name.
RELEASE = BASE_DIR.parent.name
TESTING = sys.argv[1:2] == ["test"] or "PYTEST_VERSION" in os.environ
if not TESTING:
    # Tests need no environment, and must not depend on a developer's.
    env.read_files("ENV_FILE", (BASE_DIR.parent / ".env", BASE_DIR / ".env"))

DEBUG = env.boolean("DEBUG")
# Where working defaults are given; elsewhere what has none is required.
LOCAL = DEBUG or TESTING

SECRET_KEY = env.text("SECRET_KEY", "local-development-only-not-a-secret" if LOCAL else None)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if LOCAL else None)
SITE_URL = env.site("SITE_URL", "http://localhost:8000" if LOCAL else None)

OUR_APPS = ["core", "accounts"]
INSTALLED_APPS = [
    *OUR_APPS,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_guid",
]
MIDDLEWARE = [
    # Before all others, so that whatever they log has the request's identifier.
    "django_guid.middleware.guid_middleware",
    # First, so that what the others answer has its header too.
    "core.middleware.content_security_policy",
    "core.middleware.name_release",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "core.identifiers.remember_request",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEST_RUNNER = "config.runner.Runner"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{BASE_DIR.parent / 'db.sqlite3'}" if LOCAL else None)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.UsernameOrEmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_HASHERS = [
    "accounts.hashers.ModestArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR.parent / "static"
STATIC_STORAGE = "StaticFilesStorage" if LOCAL else "ManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": f"django.contrib.staticfiles.storage.{STATIC_STORAGE}"},
}

SESSION_ENGINE = "core.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not LOCAL
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "core.views.csrf_failure"
CSRF_TRUSTED_ORIGINS = [SITE_URL]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = not LOCAL
# Asked over the socket by what starts and switches releases, which has no TLS.
SECURE_REDIRECT_EXEMPT = [r"^health/$"]
SECURE_HSTS_SECONDS = 0 if LOCAL else 31_536_000
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "font", "connect")),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
# Subdomains and preloading concern more than this site: that decision is its owner's, not a default.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# How many attempts in RATE_LIMIT_WINDOW seconds, per client address and per account; 0 is no limit.
RATE_LIMIT_WINDOW = env.integer("RATE_LIMIT_WINDOW", 900)
RATE_LIMITS = {
    "login": {
        "address": env.integer("RATE_LIMIT_LOGIN_PER_ADDRESS", 50, minimum=0),
        "account": env.integer("RATE_LIMIT_LOGIN_PER_ACCOUNT", 10, minimum=0),
    },
    "register": {
        "address": env.integer("RATE_LIMIT_REGISTER_PER_ADDRESS", 20, minimum=0),
        "account": env.integer("RATE_LIMIT_REGISTER_PER_ACCOUNT", 5, minimum=0),
    },
    "reset": {
        "address": env.integer("RATE_LIMIT_RESET_PER_ADDRESS", 20, minimum=0),
        "account": env.integer("RATE_LIMIT_RESET_PER_ACCOUNT", 5, minimum=0),
    },
}

for _name, _value in env.mail_server("EMAIL_URL", "consolemail://" if LOCAL else None).items():
    globals()[_name] = _value
INBOX = globals()["EMAIL_BACKEND"] == env.INBOX
if INBOX:
    INSTALLED_APPS.append("django_mail_preview")
    MAIL_PREVIEW_ROOT = BASE_DIR.parent / ".inbox"
    # It shows a mail in a frame.
    CONTENT_SECURITY_POLICY += "; frame-src 'self'"
EMAIL_TIMEOUT = env.integer("EMAIL_TIMEOUT", 10)
DEFAULT_FROM_EMAIL = env.sender("DEFAULT_FROM_EMAIL", "Django SaaS <noreply@localhost>" if LOCAL else None)
SERVER_EMAIL = DEFAULT_FROM_EMAIL

LOGS_DIR = Path(env.text("LOGS_DIR", str(BASE_DIR.parent / "logs")))
LOGGING = build(
    strategy=env.choice("LOG_STRATEGY", "pid" if DEBUG else "console", STRATEGIES),
    place=Place(
        LOGS_DIR,
        celery=env.choice("CELERY_LOG_LEVEL", "ERROR", LEVELS),
        sentry_dsn=env.dsn("SENTRY_DSN"),
        release=RELEASE,
    ),
    django=env.choice("DJANGO_LOG_LEVEL", "INFO", LEVELS),
    task=env.choice("CELERY_TASK_LOG_LEVEL", "ERROR", LEVELS),
)

# nginx gives each request its identifier; a task carries that of the request it stems from.
DJANGO_GUID = {"GUID_HEADER_NAME": "X-Request-ID", "EXPOSE_HEADER": False, "INTEGRATIONS": [CeleryIntegration()]}

CELERY_BROKER_URL = env.celery_url(
    "CELERY_BROKER_URL",
    "memory://" if LOCAL else "redis://localhost:6379/0",
    # In production nobody would receive what is sent there.
    ("redis", "rediss", "redis+socket", *(["memory"] if LOCAL else [])),
)
CELERY_RESULT_BACKEND = env.celery_url(
    "CELERY_RESULT_BACKEND",
    "cache+memory://" if LOCAL else "redis://localhost:6379/1",
    ("redis", "rediss", "redis+socket", *(["cache+memory"] if LOCAL else [])),
)
CELERY_BROKER_USE_SSL = env.certificates(CELERY_BROKER_URL)
CELERY_REDIS_BACKEND_USE_SSL = env.certificates(CELERY_RESULT_BACKEND)
CELERY_TASK_ALWAYS_EAGER = CELERY_TASK_EAGER_PROPAGATES = env.boolean("CELERY_ALWAYS_EAGER", TESTING)
CELERY_TIMEZONE = TIME_ZONE
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_SOFT_TIME_LIMIT = env.integer("CELERY_TASK_SOFT_TIME_LIMIT", 1500)
CELERY_TASK_TIME_LIMIT = env.integer("CELERY_TASK_TIME_LIMIT", 1800)
if CELERY_TASK_SOFT_TIME_LIMIT >= CELERY_TASK_TIME_LIMIT:
    raise env.WrongSetting("CELERY_TASK_SOFT_TIME_LIMIT must be less than CELERY_TASK_TIME_LIMIT.")
# These two are read by core.retries: Celery has no such settings.
CELERY_TASK_MAX_RETRIES = env.integer("CELERY_TASK_MAX_RETRIES", 3, minimum=0)
CELERY_TASK_DEFAULT_RETRY_DELAY = env.integer("CELERY_TASK_DEFAULT_RETRY_DELAY", 60)
CELERY_RESULT_EXPIRES = env.integer("CELERY_RESULT_EXPIRES", 3600)
# 2 and 8 are as fast, 1 has threads wait for their next message (docs/scaling.md).
CELERY_WORKER_PREFETCH_MULTIPLIER = env.integer("CELERY_PREFETCH_MULTIPLIER", 4, minimum=0)
CELERY_WORKER_MAX_TASKS_PER_CHILD = env.integer("CELERY_MAX_TASKS_PER_CHILD", 1000)
# A worker keeps its connections to the database, as web processes do; `config.celery` ends what is too old or broken.
CELERY_DB_REUSE_MAX = sys.maxsize
# Flower shows what workers tell.
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A web request must not wait for a broker that is away: the defaults block it for minutes.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_TIMEOUT = 0.5
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Redis hands an unacknowledged message to another worker after this long, running or not: longer than
    # the hard limit and the longest countdown together.
    "visibility_timeout": max(3600, CELERY_TASK_TIME_LIMIT + 1200),
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    "socket_keepalive": True,
    # Not the first attempt: Kombu would add two seconds and a second one.
    "max_retries": 0,
}
CELERY_REDIS_SOCKET_TIMEOUT = CELERY_REDIS_SOCKET_CONNECT_TIMEOUT = 0.5
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in ("celery", "email", "dead_letter")]
CELERY_TASK_ROUTES = {
    "core.tasks.send_welcome_email": {"queue": "email"},
    "core.tasks.send_password_reset_email": {"queue": "email"},
    "core.tasks.request_password_reset": {"queue": "email"},
    "core.tasks.record_dead_letter": {"queue": "dead_letter"},
}
# Celery's own drops what it cannot read or does not know, and keeps what it has fetched while it stops.
# How long a worker that is told to stop may go on with what it runs; then it hands that back.
DRAIN_SECONDS = env.integer("DRAIN_SECONDS", 300, minimum=0)
CELERY_WORKER_CONSUMER = "core.draining:DrainingConsumer"
DURABLE_KEEP_DONE = env.integer("DURABLE_KEEP_DONE", 86_400)
# A message that nobody acknowledged comes again after so long, and may have to wait in its queue as long again.
REDELIVERED = 2 * CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
if DURABLE_KEEP_DONE < REDELIVERED:
    raise env.WrongSetting(
        f"DURABLE_KEEP_DONE must be {REDELIVERED} or more with a CELERY_TASK_TIME_LIMIT of {CELERY_TASK_TIME_LIMIT}."
    )
# It leaves a trace in the broker each time it wakes up.
CELERY_BEAT_SCHEDULER = "core.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SCHEDULE = {
    "cleanup-tokens-daily": {"task": "core.tasks.cleanup_expired_tokens", "schedule": crontab(hour=2, minute=0)},
    "forget-rate-limits-daily": {"task": "core.tasks.forget_rate_limits", "schedule": crontab(hour=2, minute=10)},
    "purge-done-records-hourly": {"task": "core.tasks.purge_done_records", "schedule": crontab(minute=20)},
}

env.refuse_unknown("CELERY", "RATE_LIMIT_", "DURABLE_")
