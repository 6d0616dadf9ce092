from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0006_fill_size")]
    operations = [
        migrations.RemoveField("item", "size"),
    ]
