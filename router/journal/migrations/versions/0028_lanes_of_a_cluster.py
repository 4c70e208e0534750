"""lanes of a cluster: which node may write for which lane; contents that all nodes share

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
    op.create_table('stored_blob',
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('salt', sa.LargeBinary(), nullable=False),
    sa.Column('chunks', sa.Integer(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('stored_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_stored_blob'))
    )
    op.create_index('ix_stored_blob_stored_at', 'stored_blob', ['stored_at'])
    op.create_table('stored_chunk',
    sa.Column('salt', sa.LargeBinary(length=16), nullable=False),
    sa.Column('rank', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('salt', 'rank', name=op.f('pk_stored_chunk'))
    )


def downgrade() -> None:
    op.drop_table('stored_chunk')
    op.drop_index('ix_stored_blob_stored_at', table_name='stored_blob')
    op.drop_table('stored_blob')
    op.drop_table('lane_fence')
