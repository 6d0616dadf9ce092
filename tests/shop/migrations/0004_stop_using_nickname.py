from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_size")]
    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.AlterField("item", "nickname", models.CharField(max_length=50, null=True))],
            [migrations.RemoveField("item", "nickname")],
        ),
    ]
