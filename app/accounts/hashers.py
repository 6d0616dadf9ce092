from django.contrib.auth.hashers import Argon2PasswordHasher


class ModestArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with the parameters of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.

    Django's default takes 100 MiB a login: a dozen at once would be a gigabyte.
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1
