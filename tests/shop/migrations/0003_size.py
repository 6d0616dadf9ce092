from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_colour")]
    operations = [
        migrations.AlterField("item", "colour", models.CharField(max_length=50, default="", db_default="")),
        migrations.AddField("item", "size", models.CharField(max_length=50, db_default="")),
    ]
