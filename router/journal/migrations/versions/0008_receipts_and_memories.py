"""names and receipts of deliveries, what connectors remember

Revision: 0008
Follows: 0007
"""

import sqlalchemy as sa
from alembic import op


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('delivery_reference',
    sa.Column('token', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('delivery_id', number, autoincrement=False, nullable=False),
    sa.Column('kind', sa.String(length=24), nullable=False),
    sa.Column('sealed_value', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_delivery_reference_delivery_id_delivery'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token', 'delivery_id', 'kind', name=op.f('pk_delivery_reference'))
    )
    op.create_index('ix_delivery_reference_delivery', 'delivery_reference', ['delivery_id'])
    op.create_table('delivery_receipt',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('token', sa.BigInteger(), nullable=False),
    sa.Column('delivery_id', number, nullable=True),
    sa.Column('item_id', number, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('stage', sa.String(length=16), nullable=False),
    sa.Column('positive', sa.Boolean(), nullable=False),
    sa.Column('detail', sa.String(length=200), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_delivery_receipt_delivery_id_delivery'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery_receipt'))
    )
    op.create_index('ix_delivery_receipt_delivery', 'delivery_receipt', ['delivery_id'])
    waiting = sa.text('delivery_id IS NULL')
    op.create_index('ix_delivery_receipt_waiting', 'delivery_receipt', ['token'], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table('connector_memory',
    sa.Column('owner', sa.String(length=80), nullable=False),
    sa.Column('token', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('sealed_value', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('owner', 'token', name=op.f('pk_connector_memory'))
    )


def downgrade() -> None:
    op.drop_table('connector_memory')
    op.drop_index('ix_delivery_receipt_waiting', table_name='delivery_receipt')
    op.drop_index('ix_delivery_receipt_delivery', table_name='delivery_receipt')
    op.drop_table('delivery_receipt')
    op.drop_index('ix_delivery_reference_delivery', table_name='delivery_reference')
    op.drop_table('delivery_reference')
