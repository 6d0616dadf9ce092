from django.db import migrations


class Migration(migrations.Migration):
    safe_after = ("shop", "0004_stop_using_nickname")
    dependencies = [("shop", "0004_stop_using_nickname")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE shop_item DROP COLUMN nickname", "ALTER TABLE shop_item ADD COLUMN nickname varchar(50)"
        ),
    ]
