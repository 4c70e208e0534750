"""mapping versions: the mappings that each message was read with; the draft of a what-if comparison

Revision: 0031
Follows: 0027
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import sqlite


revision = '0031'
down_revision = '0030'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('mapping_version',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('digest', sa.String(length=32), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('software', sa.String(length=40), nullable=False),
    sa.Column('sealed_content', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mapping_version')),
    sa.UniqueConstraint('digest', name=op.f('uq_mapping_version_digest'))
    )
    op.add_column('message', sa.Column('mappings', sa.Integer(), nullable=True))
    op.add_column('what_if', sa.Column('sealed_draft', sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column('what_if', 'sealed_draft')
    op.drop_column('message', 'mappings')
    op.drop_table('mapping_version')
