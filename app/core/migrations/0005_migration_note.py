from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0004_sent_at'),
    ]

    additive = True
    operations = [
        # A playbook has made it already, where only the owner may write to it.
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    'CREATE TABLE IF NOT EXISTS "core_migrationnote" ("migration" varchar(255) NOT NULL PRIMARY KEY,'
                    ' "safe_after" varchar(255) NOT NULL, "harm" text NOT NULL)',
                    'DROP TABLE "core_migrationnote"',
                )
            ],
            [
                migrations.CreateModel(
                    name="MigrationNote",
                    fields=[
                        (
                            "migration",
                            models.CharField(
                                help_text="Like core.0001_initial", max_length=255, primary_key=True, serialize=False
                            ),
                        ),
                        (
                            "safe_after",
                            models.CharField(
                                blank=True, help_text="Code with this migration can live with it", max_length=255
                            ),
                        ),
                        (
                            "harm",
                            models.TextField(blank=True, help_text="Else what code that lacks it would trip over"),
                        ),
                    ],
                )
            ],
        )
    ]
