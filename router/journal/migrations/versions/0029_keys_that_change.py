"""keys that change: the ring of keys and the changes of the master key; holds; erasing an Item without a whole walk

Revision: 0029
Follows: 0031
"""

import sqlalchemy as sa
from alembic import op


revision = '0029'
down_revision = '0028'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('data_key',
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('role', sa.String(length=8), nullable=False),
    sa.Column('master', sa.String(length=16), nullable=False),
    sa.Column('wrapped_key', sa.LargeBinary(), nullable=False),
    sa.Column('made_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('number', 'role', 'master', name=op.f('pk_data_key'))
    )
    op.create_table('key_rotation',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('former', sa.String(length=16), nullable=False),
    sa.Column('master', sa.String(length=16), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('pass_number', sa.Integer(), server_default='1', nullable=False),
    sa.Column('pass_began_at', sa.BigInteger(), nullable=False),
    sa.Column('pass_changed', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('position', sa.Text(), server_default='', nullable=False),
    sa.Column('looked', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('changed', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('damaged', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('resealed_at', sa.BigInteger(), nullable=True),
    sa.Column('retired_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_key_rotation'))
    )
    open_ = sa.text("state <> 'retired'")
    op.create_index('ix_key_rotation_open', 'key_rotation', ['state'], sqlite_where=open_, postgresql_where=open_)
    op.create_table('legal_hold',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('subject', sa.String(length=8), nullable=False),
    sa.Column('number', number, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('reason', sa.String(length=400), nullable=False),
    sa.Column('lifted_at', sa.BigInteger(), nullable=True),
    sa.Column('lifted_by', sa.String(length=120), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_legal_hold'))
    )
    force = sa.text('lifted_at IS NULL')
    op.create_index('ix_legal_hold_in_force', 'legal_hold', ['subject', 'number'], sqlite_where=force, postgresql_where=force)
    op.create_index('ix_item_token_item', 'item_token', ['item_id'])


def downgrade() -> None:
    op.drop_index('ix_item_token_item', table_name='item_token')
    op.drop_table('legal_hold')
    op.drop_index('ix_key_rotation_open', table_name='key_rotation')
    op.drop_table('key_rotation')
    op.drop_table('data_key')
