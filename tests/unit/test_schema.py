import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.test import SimpleTestCase, TestCase, TransactionTestCase, modify_settings, override_settings

from core.models import MigrationNote
from core.schema import releases
from core.schema.operations import harms

ITEM: "list[tuple[str, models.Field[Any, Any]]]" = [
    ("id", models.BigAutoField(primary_key=True)),
    ("name", models.CharField(max_length=50)),
    ("note", models.CharField(max_length=50, null=True)),
    ("count", models.IntegerField(db_default=0)),
    ("code", models.CharField(max_length=9, unique=True)),
    ("owner", models.ForeignKey("shop.Owner", models.CASCADE)),
    ("fans", models.ManyToManyField("shop.Owner", related_name="+")),
]
OPTIONS: dict[str, Any] = {
    "constraints": [
        models.UniqueConstraint(fields=["name"], name="one_name"),
        models.CheckConstraint(condition=models.Q(count__gt=0), name="some"),
    ]
}


def of(*operations: Operation) -> list[str]:
    state = ProjectState()
    state.add_model(ModelState("shop", "Owner", [("id", models.BigAutoField(primary_key=True))]))
    state.add_model(ModelState("shop", "Item", ITEM, dict(OPTIONS)))
    kind = type("Migration", (migrations.Migration,), {"operations": operations})
    return harms(kind("0002_next", "shop"), state)


def add(field: "models.Field[Any, Any]") -> Operation:
    return migrations.AddField("item", "added", field)


def alter(name: str, field: "models.Field[Any, Any]") -> Operation:
    return migrations.AlterField("item", name, field)


class HarmTests(SimpleTestCase):
    harmless: list[Operation] = [
        migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]),
        add(models.CharField(max_length=9, null=True)),
        add(models.CharField(max_length=9, db_default="")),
        add(models.ManyToManyField("shop.Owner", related_name="+")),
        alter("name", models.CharField(max_length=51, help_text="Longer")),
        alter("name", models.TextField()),
        alter("name", models.CharField(max_length=50, null=True)),
        alter("name", models.CharField(max_length=50, default="", db_default="")),
        alter("count", models.BigIntegerField(db_default=0)),
        alter("owner", models.ForeignKey("shop.Owner", models.PROTECT, related_name="+")),
        alter("fans", models.ManyToManyField("shop.Owner", related_name="+", blank=True)),
        migrations.AddIndex("item", models.Index(fields=["count"], name="by_count")),
        migrations.AlterModelOptions("item", {"ordering": ["name"]}),
        migrations.RemoveConstraint("item", "some"),
        migrations.AlterModelTable("item", "shop_item"),
        migrations.SeparateDatabaseAndState([], [migrations.RemoveField("item", "note")]),
    ]
    harmful: list[tuple[Operation, str]] = [
        (add(models.CharField(max_length=9, default="")), "adds the column shop_item.added, NOT NULL"),
        (add(models.CharField(max_length=9, db_default="", unique=True)), "only once"),
        (migrations.RemoveField("item", "note"), "removes the column shop_item.note"),
        (migrations.RemoveField("item", "fans"), "removes the table shop_item_fans"),
        (migrations.RenameField("item", "note", "remark"), "renames the column shop_item.note"),
        (migrations.RenameField("item", "fans", "friends"), "renames the table shop_item_fans"),
        (migrations.RenameModel("Item", "Thing"), "renames the table shop_item"),
        (migrations.AlterModelTable("item", "things"), "renames the table shop_item"),
        (migrations.DeleteModel("Item"), "removes the table shop_item"),
        (alter("name", models.CharField(max_length=49)), "becomes varchar(49)"),
        (alter("name", models.IntegerField()), "becomes integer"),
        (alter("name", models.CharField(max_length=50, db_column="title")), "is renamed"),
        (alter("note", models.CharField(max_length=50)), "becomes NOT NULL"),
        (alter("name", models.CharField(max_length=50, unique=True)), "becomes unique"),
        (alter("code", models.CharField(max_length=9)), "is no longer unique"),
        (alter("count", models.PositiveIntegerField(db_default=0)), "gets a check"),
        (alter("count", models.IntegerField()), "loses its default"),
        (alter("owner", models.ForeignKey("shop.Item", models.CASCADE)), "refers to another table"),
        (alter("fans", models.ManyToManyField("shop.Item")), "changes which tables"),
        (alter("fans", models.CharField(max_length=9)), "another kind of field"),
        (
            migrations.AddConstraint("item", models.CheckConstraint(condition=models.Q(count=1), name="one")),
            "adds the constraint one",
        ),
        (migrations.RemoveConstraint("item", "one_name"), "removes the constraint one_name"),
        (migrations.AlterUniqueTogether("item", {("name", "count")}), "unique together"),
        (migrations.AlterOrderWithRespectTo("item", "owner"), "_order"),
        (migrations.RunPython(migrations.RunPython.noop), "RunPython, which cannot be judged"),
        (migrations.RunSQL("SELECT 1"), "RunSQL, which cannot be judged"),
        (
            migrations.SeparateDatabaseAndState([migrations.RemoveField("item", "note")], []),
            "removes the column shop_item.note",
        ),
    ]

    def test_what_old_code_does_not_notice_is_harmless(self) -> None:
        for operation in self.harmless:
            with self.subTest(operation.describe()):
                self.assertEqual(of(operation), [])

    def test_what_it_would_trip_over_is_named(self) -> None:
        for operation, clause in self.harmful:
            with self.subTest(clause):
                self.assertIn(clause, " ".join(of(operation)))

    def test_a_good_column_hides_no_bad_one(self) -> None:
        good = migrations.AddField("item", "other", models.CharField(max_length=9, db_default=""))

        self.assertEqual(len(of(add(models.CharField(max_length=9)), good)), 1)

    def test_a_table_of_the_same_migration_may_change(self) -> None:
        table = migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])

        self.assertEqual(of(table, migrations.AddField("other", "added", models.CharField(max_length=9))), [])


class OurMigrationsTests(TestCase):
    def test_the_release_before_can_live_with_each(self) -> None:
        found = [message for message in run_checks(include_deployment_checks=True) if message.id == "core.E002"]

        self.assertEqual([message.msg for message in found], [])

    def test_none_is_missing(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, stdout=io.StringIO())


@modify_settings(INSTALLED_APPS={"append": "tests.shop"})
@override_settings(OUR_APPS=["tests"])
class DeclarationTests(SimpleTestCase):
    def undeclared(self, name: str, **declared: Any) -> str:
        loader = releases.load()
        node = loader.disk_migrations["shop", name]
        for attribute, value in declared.items():
            setattr(node, attribute, value)
        return "\n".join(line for line in releases.undeclared(loader) if name in line)

    def test_it_refuses_what_is_not_declared(self) -> None:
        lines = releases.undeclared(releases.load())

        self.assertEqual([line.split()[0] for line in lines], [f"shop.{name}" for name in HARMFUL])

    def test_a_declaration_is_enough(self) -> None:
        self.assertEqual(self.undeclared("0006_fill_size", additive=True), "")
        self.assertEqual(self.undeclared("0007_remove_size", safe_after=("shop", "0006_fill_size")), "")

    def test_a_declaration_must_name_what_the_migration_depends_on(self) -> None:
        for name in ("0005_missing", "0007_remove_size", "0006_fill_size"):
            with self.subTest(name):
                self.assertIn(name, self.undeclared("0005_drop_nickname", safe_after=("shop", name)))

    def test_a_declaration_that_cannot_be_read_is_refused(self) -> None:
        self.assertIn("a pair like", self.undeclared("0007_remove_size", safe_after="0006_fill_size"))
        self.assertIn("than True", self.undeclared("0007_remove_size", additive="yes"))


HARMFUL = ("0002_colour", "0006_fill_size", "0007_remove_size")


@modify_settings(INSTALLED_APPS={"append": "tests.shop"})
class SchemaCommandTests(TransactionTestCase):
    def setUp(self) -> None:
        self.addCleanup(self.migrate, "zero")
        self.file = Path(self.enterContext(TemporaryDirectory())) / "migrations.txt"

    def migrate(self, name: str) -> None:
        call_command("migrate", "shop", name, verbosity=0)

    def knowing(self, last: str) -> None:
        """The other release knows the shop's migrations up to this one."""
        output = io.StringIO()
        call_command("schema", "list", stdout=output)
        lines = [line for line in output.getvalue().split() if not line.startswith("shop.") or line[5:9] <= last]
        self.file.write_text("\n".join(lines))

    def check(self, *options: str) -> str:
        self.notes = io.StringIO()
        try:
            call_command(
                "schema", "check", "--against", str(self.file), *options, stdout=io.StringIO(), stderr=self.notes
            )
        except CommandError as error:
            return str(error)
        return ""

    def test_list_knows_all_migrations_without_the_database(self) -> None:
        with mock.patch.object(connection, "cursor", side_effect=DatabaseError):
            self.knowing("9999")

        names = self.file.read_text().split()
        self.assertIn("core.0001_initial", names)
        self.assertIn("shop.0007_remove_size", names)

    def test_a_default_of_python_alone_breaks_the_insert_of_old_code_and_is_refused(self) -> None:
        self.migrate("0002")
        self.knowing("0001")

        with self.assertRaises(IntegrityError), connection.cursor() as cursor:
            cursor.execute("INSERT INTO shop_item (name, nickname) VALUES ('a', 'b')")
        self.assertIn("shop.0002_colour adds the column shop_item.colour", self.check())
        self.assertIn("Go back to a release that can", self.check())

    def test_a_default_of_the_database_is_accepted(self) -> None:
        self.migrate("0003")
        self.knowing("0002")

        self.assertEqual(self.check(), "")

    def test_a_removed_column_is_accepted_after_the_release_that_stopped_using_it(self) -> None:
        self.migrate("0005")
        self.knowing("0004")

        self.assertEqual(self.check(), "")
        self.knowing("0003")
        self.assertIn("takes away what code without shop.0004_stop_using_nickname uses", self.check())

    def test_before_a_deploy_only_what_is_not_applied_is_judged(self) -> None:
        self.migrate("0004")
        self.knowing("0003")

        self.assertEqual([line.split()[0] for line in self.check("--planned").splitlines()], [
            "shop.0005_drop_nickname", "shop.0006_fill_size", "shop.0007_remove_size",
        ])  # fmt: skip

    def test_what_neither_knows_stops_a_rollback_and_is_named_before_a_deploy(self) -> None:
        self.migrate("0001")
        self.knowing("0007")
        unknown = mock.patch.object(releases, "applied", return_value={("core", "9999_future")})
        with unknown:
            self.assertIn("core.9999_future is applied, and neither release knows it", self.check())
            self.assertEqual(self.check("--planned"), "")
            self.assertIn("core.9999_future", self.notes.getvalue())

    def lacking(self, *names: str) -> Any:
        """The code that is asked has no file of these, as after a deploy that migrated and then failed."""
        loader = releases.load()
        for name in names:
            del loader.disk_migrations["shop", name]
        return mock.patch("core.management.commands.schema.load", return_value=loader)

    def test_what_a_failed_deploy_has_applied_is_judged_by_what_it_said_then(self) -> None:
        self.migrate("0005")
        files = self.lacking("0003_size", "0004_stop_using_nickname", "0005_drop_nickname")

        self.knowing("0004")
        with files:
            self.assertEqual(self.check(), "")
        self.knowing("0003")
        with files:
            self.assertIn("shop.0005_drop_nickname takes away what code without shop.0004_stop", self.check())

    def test_it_is_noted_of_what_was_applied_before_another_failed(self) -> None:
        broken = mock.patch.object(migrations.RunPython, "database_forwards", side_effect=DatabaseError)
        with broken, self.assertRaises(DatabaseError):
            self.migrate("0006")

        noted = MigrationNote.objects.filter(migration__startswith="shop.").values_list("migration", flat=True)
        self.assertEqual({name[:9] for name in noted}, {f"shop.000{number}" for number in range(1, 6)})

    def test_who_only_looks_notes_nothing(self) -> None:
        call_command("migrate", plan=True, stdout=io.StringIO())
        with self.assertRaises(SystemExit):
            call_command("migrate", check_unapplied=True, stdout=io.StringIO())

        self.assertFalse(MigrationNote.objects.exists())

    def test_what_it_could_not_live_with_stays_refused(self) -> None:
        self.migrate("0002")
        self.knowing("0001")

        with self.lacking("0002_colour"):
            self.assertIn("shop.0002_colour adds the column shop_item.colour", self.check())

    def test_a_database_from_before_the_notes_has_none(self) -> None:
        self.migrate("0003")
        self.knowing("0002")

        with self.lacking("0003_size"), mock.patch.object(MigrationNote._meta, "db_table", "not_there_yet"):
            self.assertIn("shop.0003_size is applied, and neither release knows it. Nor is it noted", self.check())

    def test_packages_migrations_can_be_declared(self) -> None:
        self.migrate("0006")
        self.knowing("0005")

        with mock.patch.dict(releases.PACKAGES, {("shop", "0006_fill_size"): True}):
            self.assertEqual(self.check(), "")
        self.assertIn("RunPython", self.check())

    def test_a_list_that_cannot_be_one_is_refused(self) -> None:
        self.assertIn("cannot be read", self.check())
        for text, said in (("", "holds nothing"), ("<html>", "the line “<html>”")):
            self.file.write_text(text)
            self.assertIn(said, self.check())

    def test_a_database_that_is_away_is_said(self) -> None:
        self.knowing("0001")
        with mock.patch.object(releases, "applied", side_effect=DatabaseError("away")):
            self.assertIn("The database could not be asked", self.check())


class SquashedTests(SimpleTestCase):
    def test_they_stand_for_what_they_replace(self) -> None:
        loader = MigrationLoader(None, load=False)
        body = {"replaces": [("shop", "0001_initial")], "operations": [migrations.RunSQL("SELECT 1")]}
        squashed = type("Migration", (migrations.Migration,), body)("0001_squashed", "shop")
        loader.disk_migrations = {("shop", "0001_squashed"): squashed}

        self.assertEqual(releases.known(loader), {("shop", "0001_squashed"), ("shop", "0001_initial")})
        self.assertIsNone(releases.judge(loader, squashed).obstacle(set()))
