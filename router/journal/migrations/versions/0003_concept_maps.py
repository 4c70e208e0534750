"""concept maps, and the codes that none answers yet

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('concept_map',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('sender', sa.String(length=120), nullable=False),
    sa.Column('kind', sa.String(length=8), nullable=False),
    sa.Column('system', sa.String(length=120), nullable=False),
    sa.Column('code', sa.String(length=120), nullable=False),
    sa.Column('target_system', sa.String(length=120), nullable=False),
    sa.Column('target', sa.String(length=120), nullable=False),
    sa.Column('display', sa.String(length=240), nullable=True),
    sa.Column('author', sa.String(length=120), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_concept_map'))
    )
    op.create_index('ux_concept_map_term', 'concept_map', ['sender', 'kind', 'system', 'code'], unique=True)
    op.create_table('unmapped_code',
    sa.Column('sender', sa.String(length=120), nullable=False),
    sa.Column('kind', sa.String(length=8), nullable=False),
    sa.Column('system', sa.String(length=120), nullable=False),
    sa.Column('code', sa.String(length=120), nullable=False),
    sa.Column('label', sa.String(length=160), nullable=False),
    sa.Column('unit', sa.String(length=120), nullable=False),
    sa.Column('seen', sa.BigInteger(), nullable=False),
    sa.Column('first_at', sa.BigInteger(), nullable=False),
    sa.Column('last_at', sa.BigInteger(), nullable=False),
    sa.Column('last_message_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('sender', 'kind', 'system', 'code', name=op.f('pk_unmapped_code')),
    sqlite_with_rowid=False
    )


def downgrade() -> None:
    op.drop_table('unmapped_code')
    op.drop_index('ux_concept_map_term', table_name='concept_map')
    op.drop_table('concept_map')
