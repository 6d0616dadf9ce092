"""The working tree as a git commit, so that the lab runs what is on the disk without a commit of one's own."""

import tempfile
from pathlib import Path

from lab.shell import run

# All that a release is made of. What else lies about, a password file perhaps, has no business in git's objects.
RELEASED = ("app", "requirements")

# A fixed author and date: the same files give the same commit.
FIXED = {
    "GIT_AUTHOR_NAME": "lab",
    "GIT_AUTHOR_EMAIL": "lab@localhost",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "lab",
    "GIT_COMMITTER_EMAIL": "lab@localhost",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}


def take(repository: Path) -> str:
    """HEAD where nothing differs from it, else a commit that no branch, and no index, knows of."""
    head = git(repository, "rev-parse", "HEAD")
    tree = working_tree(repository)
    if tree == git(repository, "rev-parse", "HEAD^{tree}"):
        return head
    return git(repository, "commit-tree", tree, "-m", "The working tree.", env=FIXED)


def working_tree(repository: Path) -> str:
    """The released folders as they are on the disk, new files that are not ignored among them; the rest as in HEAD."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(repository, "read-tree", "HEAD", env=index)
        git(repository, "add", "--all", "--", *RELEASED, env=index)
        return git(repository, "write-tree", env=index)


def git(repository: Path, *args: str, env: dict[str, str] | None = None) -> str:
    pairs = [f"{name}={value}" for name, value in (env or {}).items()]
    return run(["env", *pairs, "git", "-C", str(repository), *args]).strip()
