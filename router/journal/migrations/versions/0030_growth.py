"""indexes of what lists would otherwise look for row by row: the audit by who did it, held Items by reason and patient

Revision: 0030
Follows: 0028
"""

import sqlalchemy as sa
from alembic import op


revision = '0030'
down_revision = '0029'
branch_labels = None
depends_on = None

HELD = sa.text("state = 'held'")


def upgrade() -> None:
    op.create_index('ix_audit_actor', 'audit', ['actor', 'id'])
    op.drop_index('ix_item_held', table_name='item')
    columns = ['state', 'id', 'reason', 'lane', 'created_at']
    op.create_index('ix_item_held', 'item', columns, sqlite_where=HELD, postgresql_where=HELD)


def downgrade() -> None:
    op.drop_index('ix_item_held', table_name='item')
    op.create_index('ix_item_held', 'item', ['state', 'id'], sqlite_where=HELD, postgresql_where=HELD)
    op.drop_index('ix_audit_actor', table_name='audit')
