"""the audit's rows are chained

Revision: 0013
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op


revision = '0013'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('audit') as table:
        table.add_column(sa.Column('chain', sa.LargeBinary(length=16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('audit') as table:
        table.drop_column('chain')
