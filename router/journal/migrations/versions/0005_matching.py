"""why an Item was attached or held, and whom it may be about

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('item', sa.Column('decision', sa.String(length=8), nullable=True))
    op.add_column('item', sa.Column('candidates', sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column('item', 'candidates')
    op.drop_column('item', 'decision')
