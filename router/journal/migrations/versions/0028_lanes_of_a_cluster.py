"""lanes of a cluster: which node may write for which lane

Revision: 0028
Follows: 0027
"""

import sqlalchemy as sa
from alembic import op


revision = '0028'
down_revision = '0027'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('lane_fence',
    sa.Column('lane', sa.String(length=120), nullable=False),
    sa.Column('epoch', sa.BigInteger(), nullable=False),
    sa.Column('fence', sa.BigInteger(), nullable=False),
    sa.Column('node', sa.String(length=120), nullable=False),
    sa.Column('taken_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('lane', name=op.f('pk_lane_fence'))
    )


def downgrade() -> None:
    op.drop_table('lane_fence')
