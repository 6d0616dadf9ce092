from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0005_drop_nickname")]
    operations = [
        migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
    ]
